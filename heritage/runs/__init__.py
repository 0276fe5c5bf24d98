"""The run folder: names, writing, reading and resuming of everything a training run leaves behind."""
