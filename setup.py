"""All that is to be said of the package stands in setup.cfg, but for its version.

The setuptools that Python 3.9 brings would import the package for it, before what it needs is
there.
"""

import runpy

from setuptools import setup

setup(version=runpy.run_path("streamsafe/version.py")["VERSION"])
