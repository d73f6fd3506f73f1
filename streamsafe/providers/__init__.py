"""The APIs: one file each, presets as data.

Here lives what one HTTP API says: how to ask, what its events mean, when an answer is
finished, what its errors mean, how to go on after a break. Nothing here opens a
connection, waits, or knows that an attempt can be repeated.
"""
