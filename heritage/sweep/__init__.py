"""Sweeps and submitted runs: expand, check, estimate the cost, run and summarise."""
