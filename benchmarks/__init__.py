"""Measurements: each prints ratios against a peer or a limit in one run."""
