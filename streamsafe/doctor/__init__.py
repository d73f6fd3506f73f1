"""Doctor: small calls that say step by step what is right and wrong, and recordings looked at.

Here lives what the commands ``doctor``, ``replay`` and ``report`` do; what they print is theirs.
The diagnosis is ``debug``'s alone.
"""
