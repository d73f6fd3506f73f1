"""Where an answer meets the web: relays for browsers, helpers for frameworks, the dashboard.

Each lives in a module of its own and is imported by its path; this file holds nothing, so that
no framework is loaded that is not used.
"""
