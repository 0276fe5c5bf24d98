"""What `heritage predict` does: any photographs to a table of predictions."""
