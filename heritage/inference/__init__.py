"""From a checkpoint to logits, features and predictions on a data set."""
