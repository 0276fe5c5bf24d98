"""Training: the LightningModule, losses, optimizers, schedules, callbacks and the run."""

from heritage.training.classifier import Classifier

__all__ = ["Classifier"]
