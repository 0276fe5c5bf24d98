"""The LightningModule and what it is made of: losses, weights, optimisers, schedules, callbacks."""

from heritage.training.classifier import Classifier

__all__ = ["Classifier"]
