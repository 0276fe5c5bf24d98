"""The documentation site: ``python -m website`` builds it from docs/, conf/ and the docstrings."""
