"""The version: pyproject.toml reads it, and a test compares CITATION.cff with it."""

__version__ = "0.2.0"
