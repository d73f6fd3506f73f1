"""Print what an extra of setup.cfg asks for, one requirement a line."""

import configparser
import sys

config = configparser.ConfigParser()
config.read("setup.cfg", encoding="utf-8")
for line in config["options.extras_require"][sys.argv[1]].splitlines():
    if line.strip():
        print(line.strip())
