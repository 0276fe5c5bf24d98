"""Using the answer: photographs to tables, a checkpoint to files that others load, a web page and an API."""
