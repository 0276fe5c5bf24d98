"""Outputs of a network before its classifier: predictions and features of images, computed once and kept."""
