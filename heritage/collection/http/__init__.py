"""A polite HTTP client: rate limits, robots.txt, retries, caching and bounded bodies."""
