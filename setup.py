"""All that is to be said of the package stands in setup.cfg."""

from setuptools import setup

setup()
