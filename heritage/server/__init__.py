"""What `heritage serve` does: a web page and a JSON API."""
