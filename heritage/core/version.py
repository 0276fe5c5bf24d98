"""The version, written here alone: pyproject.toml reads it."""

__version__ = "0.2.0"
