"""streamsafe: LLM token streams that never hang and never lie about their end."""
