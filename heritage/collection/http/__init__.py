"""The rate-limited HTTP client of the collector."""
