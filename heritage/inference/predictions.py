"""Run a trained network, or one that wraps it, over a split of a test set."""

from __future__ import annotations

import torch
from torch import nn

from heritage.core.progress import Progress
from heritage.features.predict_loop import ModelOutputs, predict_loader
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.test_set import TestSet


def predict_split(
    classifier: TrainedClassifier,
    test_set: TestSet,
    split: str,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    description: str | None = None,
) -> ModelOutputs:
    """Return the predictions for a split, with a progress bar.

    Args:
        classifier: The trained network.
        test_set: The data set.
        split: ``train``, ``val`` or ``test``.
        device: Where to compute.
        model: Another model to run, uint8 images (B, S, S, 3) to outputs (B, D), that wraps the network; None
            runs the classifier itself.
        description: Text beside the progress bar.
    """
    model = classifier.model if model is None else model
    model.eval()  # `predict_loader` restores the mode, and a wrapper is made in training mode
    loader = test_set.data.eval_loader(split)
    with Progress(description or f"predicting {split}", len(test_set.data.rows(split))) as progress:
        return predict_loader(
            model, loader, device, precision=classifier.precision(device), progress=progress.advance
        )
