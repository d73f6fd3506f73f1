"""``python -m streamsafe``: the same as the command ``streamsafe``."""

import sys

from streamsafe.cli import main

if __name__ == "__main__":
    sys.exit(main())
