"""`heritage export`: a checkpoint to formats that other runtimes load, with a model card."""
