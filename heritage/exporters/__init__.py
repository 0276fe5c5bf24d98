"""What `heritage export` does: a checkpoint to formats that other runtimes load, with a model card."""
