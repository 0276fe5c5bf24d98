"""What `heritage compare` does: many runs side by side, paired tests, and the published figures."""
