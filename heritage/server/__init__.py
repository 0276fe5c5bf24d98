"""`heritage serve`: a web page and a JSON API for a trained network."""
