"""Print what extras of setup.cfg ask for, one requirement a line."""

import configparser
import sys

config = configparser.ConfigParser()
config.read("setup.cfg", encoding="utf-8")
extras = config["options.extras_require"]
wanted = [line.strip() for name in sys.argv[1:] for line in extras[name].splitlines()]
print("\n".join(filter(None, wanted)))
