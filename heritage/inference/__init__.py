"""Trained networks: loading a checkpoint, its test set, predictions and features."""
