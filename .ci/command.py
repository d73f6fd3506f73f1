"""Print the command that a page shows under the comment ``.. command: NAME``."""

import re
import sys

name, page = sys.argv[1:]
with open(page, encoding="utf-8") as file:
    text = file.read()
pattern = rf"^\.\. command: {name}\n\n\.\. code-block:: bash\n\n((?: {{4}}.+\n)+)"
found = re.search(pattern, text, re.M)
if found is None:
    sys.exit(f"{page}: no command '{name}'")
print(" && ".join(line.strip() for line in found.group(1).splitlines()))
