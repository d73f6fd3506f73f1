"""Seam: where a continued answer begins, and what of its head was delivered before.

Here lives the joint for answers that go on from a partial one, and the pure search for what of
the new head repeats the tail that the program has. Which way of continuing was taken, and what
the server is known to do with a prefix, is said by ``resume`` and the provider's profile.

Servers differ: most give the continuation alone; Mistral repeats the whole prefix first; some
drop trailing white space of the prefix, and the model writes it again or does not; a model that
is asked in a message repeats the last words, opens the code fence again, or starts afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from streamsafe.engine.joint import Restart
from streamsafe.models import Chunk, Completion, Seam

#: How much of the delivered tail is searched for in the new head. Models that repeat themselves
#: repeat the last sentence or two; several hundred characters hold those.
TAIL = 600

#: So many equal characters from the very start of the answer are a fresh start, no chance.
FRESH = 24

#: An overlap of one short letter proves nothing: "a" behind "a".
LEAST = 2


class Cut(NamedTuple):
    """What to do with the head: leave out ``drop`` characters; or it is ``fresh``, a new answer."""

    drop: int
    confidence: float
    fresh: bool = False


def find_exact(head: str, final: bool) -> Optional[Cut]:
    """The server gives the continuation alone: repeated words are the answer's own."""
    return Cut(0, 1.0)


def find_echo(prefix: str, head: str, final: bool) -> Optional[Cut]:
    """The server repeats the prefix first, or not at all. None: the head is too short to tell."""
    bare = prefix.rstrip()
    if head.startswith(prefix):
        return Cut(len(prefix), 1.0)
    if prefix.startswith(head):
        return Cut(len(head), 0.8) if final else None
    if bare and head.startswith(bare):
        # White space at the prefix's end is trimmed by some templates, and written anew or not.
        space = find_space(prefix[len(bare) :], head[len(bare) :], True)
        return Cut(len(bare) + (space.drop if space else 0), 0.9)
    return Cut(0, 0.7)


def find_space(stripped: str, head: str, final: bool) -> Optional[Cut]:
    """The prefix went without its trailing white space, which was delivered: is it written again?

    None: the head is too short to tell.
    """
    if not stripped:
        return Cut(0, 1.0)
    lead = head[: len(head) - len(head.lstrip())]
    if lead.startswith(stripped):
        return Cut(len(stripped), 0.95)
    if stripped.startswith(lead):
        if lead == head and not final:
            return None
        return Cut(len(lead), 0.95)
    return Cut(0, 0.6)


def find_overlap(delivered: str, head: str, final: bool) -> Optional[Cut]:
    """The model was asked to go on: find what it repeats. None: the head is too short to tell."""
    if _may_be_fresh(delivered, head) and not final:
        return None
    if _is_fresh(delivered, head):
        return Cut(0, 0.9, fresh=True)
    fence = _fence(delivered, head.lstrip(), final)
    if fence is None:
        return None
    lead = len(head) - len(head.lstrip()) + fence if fence else _lead(head)
    tail, words = delivered[-TAIL:], head[lead:]
    if not final and (not words or words in (".", "..", "`", "``")):
        return None
    if not final and any(True for size in _overlaps(tail, words) if size > len(words)):
        return None
    sizes = [size for size in _overlaps(tail, words) if size <= len(words)]
    if sizes:
        longest = max(sizes)
        return Cut(lead + longest, min(0.95, 0.5 + longest / 40))
    return Cut(lead if fence else _common_space(delivered, head), 0.5)


def _is_fresh(delivered: str, head: str) -> bool:
    least = min(FRESH, len(delivered))
    return least >= LEAST and head.lstrip()[:least] == delivered.lstrip()[:least] != ""


def _may_be_fresh(delivered: str, head: str) -> bool:
    bare, least = head.lstrip(), min(FRESH, len(delivered))
    return len(bare) < least and delivered.lstrip().startswith(bare)


def _overlaps(tail: str, head: str) -> list[int]:
    """Sizes of ends of the tail that the head begins with, or could go on to be: whole words."""
    found = []
    for size in range(LEAST, len(tail) + 1):
        end = tail[-size:]
        if not (end.startswith(head) if len(head) < size else head.startswith(end)):
            continue
        before = tail[-size - 1 : -size]
        if not (before.isalnum() and end[0].isalnum()) and not end.isspace():
            found.append(size)
    return found


def _lead(head: str) -> int:
    """How much of the head is no words: blanks, dots of going on."""
    bare = head.lstrip()
    for dots in ("...", "…"):
        if bare.startswith(dots):
            bare = bare[len(dots) :].lstrip()
    return len(head) - len(bare)


def _fence(delivered: str, bare: str, final: bool) -> Optional[int]:
    """Length of the line with which the head opens again the code block that was cut; 0 if it
    does not, None if the head is too short to tell.

    What closes a block is a fence with nothing behind it; so is one that opens a block of no
    language, but then code follows it and no blank line.
    """
    opening, newline, _ = delivered[delivered.rfind("```") :].partition("\n")
    if delivered.count("```") % 2 == 0 or not newline or not bare.startswith("```"):
        return 0
    line, newline, rest = bare.partition("\n")
    if not newline:
        return 0 if final else None
    opens = bool(_language(line))
    if not opens and not _language(opening):
        if not rest and not final:
            return None
        opens = rest[:1] not in ("", "\n")
    return len(line) + 1 if opens else 0


def _language(fence: str) -> str:
    return fence.strip("` \t\r")


def _common_space(delivered: str, head: str) -> int:
    """Nothing is repeated but, maybe, the white space at the join."""
    space = delivered[len(delivered.rstrip()) :]
    cut = find_space(space, head, True)
    return cut.drop if cut is not None else 0


class Continued:
    """The joint of an answer that goes on from ``delivered``; see ``joint.Joint``.

    ``how`` is "prefill", "user_message" or "cursor". ``sent`` is the text that the server was given
    to go on from. ``exact``, ``echoes`` and ``strips`` are the profile's; with none of them,
    what is repeated is searched for. Text is held back only while the head is too short to tell.
    """

    kept = 0

    def __init__(
        self,
        delivered: Completion,
        attempt: int,
        *,
        how: str,
        exact: bool = False,
        echoes: bool = False,
        strips: bool = False,
    ) -> None:
        self.seam: Optional[Seam] = None
        self.discarded = 0
        self._delivered = delivered
        self._text = delivered.text
        self._attempt, self._how = attempt, how
        self._exact, self._echoes, self._strips = exact, echoes, strips
        self._head = ""
        self._echoed = 0  # characters of the text that were repeated, before the head
        self._restart: Optional[Restart] = None

    def feed(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What is new of these chunks."""
        if self._restart is not None:
            return self._through(self._restart.feed(chunks))
        if self.seam is not None:
            return list(chunks)
        seen: list[Chunk] = []
        for place, chunk in enumerate(chunks):
            if chunk.kind == "text" and not chunk.index:
                if not self._goes_on_repeating(chunk.text):
                    self._head += chunk.text
                    seen += self._decide(chunk, final=False)
            elif chunk.kind == "finish":
                seen += self._decide(Chunk("text", raw=chunk.raw), final=True) + [chunk]
            else:
                seen.append(chunk)
            if self._restart is not None or self.seam is not None:
                return seen + self.feed(chunks[place + 1 :])
        return seen

    def end(self) -> list[Chunk]:
        """The answer ended: what was held back is decided as it stands."""
        if self._restart is not None:
            return self._through(self._restart.end())
        return self._decide(Chunk("text"), final=True) if self.seam is None else []

    def _goes_on_repeating(self, piece: str) -> bool:
        """Whether the prefix goes on so: comparing all of it anew at every piece is quadratic."""
        to = self._echoed + len(piece)
        if not self._echoes or self._head or to >= len(self._text):
            return False
        if not self._text.startswith(piece, self._echoed):
            return False
        self._echoed = to
        return True

    def _decide(self, chunk: Chunk, final: bool) -> list[Chunk]:
        if self._echoed:
            self._head, self._echoed = self._text[: self._echoed] + self._head, 0
        cut = self._cut(final)
        if cut is None:
            return []
        if cut.fresh:
            self._restart = Restart(self._delivered, self._attempt)
            return self._through(self._restart.feed([chunk._replace(text=self._head)]))
        dropped, fresh = self._head[: cut.drop], self._head[cut.drop :]
        self.discarded = len(dropped)
        at = self._delivered.text_chars
        self.seam = Seam(at, self._how, cut.confidence, dropped, self._attempt)
        return [chunk._replace(text=fresh)] if fresh else []

    def _cut(self, final: bool) -> Optional[Cut]:
        if self._echoes:
            return find_echo(self._text, self._head, final)
        if self._strips:
            return find_space(self._text[len(self._text.rstrip()) :], self._head, final)
        if self._exact:
            return find_exact(self._head, final)
        return find_overlap(self._text, self._head, final)

    def _through(self, chunks: list[Chunk]) -> list[Chunk]:
        if self._restart is not None:
            self.seam, self.discarded = self._restart.seam, self._restart.discarded
        return chunks


class Kept:
    """A joint that first takes back what was unfinished: "restart", then what is kept.

    A tool call or reasoning that was cut can't be gone on with. What is finished is given again
    behind a "restart" chunk, as one chunk a kind, and the answer goes on from there.
    """

    def __init__(self, kept: Sequence[Chunk], inner: Continued) -> None:
        self.kept = sum(len(chunk.text) + len(chunk.reasoning) for chunk in kept)
        self._kept: list[Chunk] = [Chunk("restart"), *kept]
        self._inner = inner

    @property
    def seam(self) -> Optional[Seam]:
        """The inner joint's."""
        return self._inner.seam

    @property
    def discarded(self) -> int:
        """The inner joint's."""
        return self._inner.discarded

    def feed(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What is kept, once, then what is new."""
        kept, self._kept = self._kept, []
        return kept + self._inner.feed(chunks)

    def end(self) -> list[Chunk]:
        """What was held back."""
        return self._inner.end()
