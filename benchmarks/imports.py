"""``python -m benchmarks.imports MODULE ...``: what importing them costs, as a line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

#: Fresh interpreters; the least is taken, since what disturbs only ever adds, and the first one
#: compiles what it imports.
TIMES = 4

_CODE = """
import time
from benchmarks import usage
memory, began = usage.memory(), time.process_time()
import {modules}
print((time.process_time() - began) * 1e3, (usage.memory() - memory) / 1e6)
"""


def main() -> None:
    """See the module."""
    code = _CODE.format(modules=", ".join(sys.argv[1:]))
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    runs = []
    with tempfile.TemporaryDirectory() as cache:
        environment["PYTHONPYCACHEPREFIX"] = cache
        for _ in range(TIMES):
            out = subprocess.run(
                [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True,
                env=environment,
            )  # fmt: skip
            runs.append([float(word) for word in out.stdout.split()[-2:]])
    print(json.dumps({"figure": min(ms for ms, _ in runs), "MB": min(mb for _, mb in runs)}))


if __name__ == "__main__":
    main()
