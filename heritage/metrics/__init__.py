"""Metrics of predictions, their confidence intervals and their calibration; NumPy only."""
