"""Lightning callbacks: checkpoints, progress, history, averaging, fine-tuning, safety checks."""
