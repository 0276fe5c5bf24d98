"""Metrics of predictions, confidence intervals and calibration; NumPy and SciPy only."""
