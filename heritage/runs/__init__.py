"""The run folder: file names, and writing, reading and resuming of its contents."""
