"""The dashboard: one page that shows how the streams are doing, while they are doing it.

``app(monitor)`` is a WSGI application; it stands alone (``streamsafe dashboard``) or under a
prefix of another one (``mount``). Figures are the monitor's, reports the debugger's: here lives
only what shows them.
"""

from streamsafe.web.dashboard.application import Dashboard, app
from streamsafe.web.dashboard.mounting import mount

__all__ = ["Dashboard", "app", "mount"]
