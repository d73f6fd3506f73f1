"""streamsafe: LLM token streams that never hang and never lie about their end."""

__version__ = "0.1.0"
