"""How a stream is kept going: clocks, retries, resume, accumulation, one attempt.

Here lives what knows streams but no API and no library: time, decisions, the watchdog
thread. Retry, resume, timing and the accumulator are pure; state and threads live in
watchdog and attempt alone.
"""
