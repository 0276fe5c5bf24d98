"""What a trained network knows: scores, tables, pictures."""
