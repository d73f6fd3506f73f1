"""Bill: what a batch came to, in answers, tokens, time and money.

Here lives the adding up. No prices are known here: they change, and are given.
"""

from __future__ import annotations

from typing import Optional

from streamsafe.batch.result import Result


class Bill:
    """Adds results up. ``price_in`` and ``price_out`` are for a million tokens, None = unknown.

    Tokens are those of all attempts, also of answers that failed: that is what is paid. Cached
    tokens count as the others do, so the cost is the most that it can be.
    """

    def __init__(
        self, price_in: Optional[float] = None, price_out: Optional[float] = None
    ) -> None:
        self._prices = (price_in, price_out)
        self.answers = self.errors = self.reused = 0
        self.input_tokens = self.output_tokens = 0
        self.estimated = False

    def add(self, result: Result) -> None:
        """One more result."""
        self.answers += result.ok
        self.errors += not result.ok
        self.reused += result.reused
        completion = result.completion
        usage = completion and (completion.usage_total or completion.usage)
        if usage:
            self.input_tokens += usage.input_tokens
            self.output_tokens += usage.output_tokens
            self.estimated = self.estimated or usage.estimated

    @property
    def cost(self) -> Optional[float]:
        """The price of all tokens, or None where none was given."""
        if self._prices == (None, None):
            return None
        price_in, price_out = self._prices
        million = self.input_tokens * (price_in or 0.0) + self.output_tokens * (price_out or 0.0)
        return million / 1e6

    def facts(self, seconds: float) -> list[str]:
        """All of it in words; ``seconds`` is how long it took."""
        about = "about " if self.estimated else ""
        answers = _counted(self.answers, "answer")
        if self.reused:
            answers += f" ({self.reused:,} from the journal)"
        facts = [
            answers,
            _counted(self.errors, "error"),
            f"{about}{self.input_tokens:,} tokens in, {self.output_tokens:,} out",
            _span(seconds),
        ]
        if self.cost is not None:
            facts.append(f"{about}{self.cost:,.4f} to pay")
        return facts


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
