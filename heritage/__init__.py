"""Recognise which ancient civilisation an artefact comes from, from its photograph."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("heritage")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"
