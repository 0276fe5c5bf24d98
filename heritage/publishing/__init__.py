"""Publish a trained network or a data set: to a Hugging Face hub, or as an archive for Zenodo."""
