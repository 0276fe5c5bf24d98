"""The learning-rate range test (Smith 2017): losses while the rate rises, and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from matplotlib.figure import Figure
from pytorch_lightning.tuner.tuning import Tuner

from heritage.data import ArtefactDataModule
from heritage.errors import TrainingError
from heritage.paths import atomic_path
from heritage.training.classifier import Classifier

FINDER_FILE = "lr_finder.png"
_STEPS = 100


def find_learning_rate(
    trainer: pl.Trainer, classifier: Classifier, data: ArtefactDataModule, folder: Path
) -> tuple[float, Path]:
    """Train a hundred steps with a rising rate, over as many epochs as that takes.

    Args:
        trainer: The run's trainer; it is not to be used again.
        classifier: What to train; its weights are restored.
        data: The batches.
        folder: Where the picture is written.

    Returns:
        The rate at which the loss falls fastest, and the picture's path.

    Raises:
        TrainingError: The loss falls nowhere.
    """
    trainer.fit_loop.max_epochs = _STEPS
    finder = Tuner(trainer).lr_find(
        classifier, datamodule=data, min_lr=1e-6, max_lr=1.0, num_training=_STEPS, update_attr=False
    )
    rate = finder.suggestion() if finder is not None else None
    if finder is None or rate is None:
        raise TrainingError(
            "the loss falls at no learning rate", where="lr_find", remedy="train on more batches"
        )
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(finder.results["lr"], finder.results["loss"], color="#1f5a7a")
    axes.axvline(rate, color="#b5651d", linestyle="--", label=f"suggestion: {rate:.2g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss, smoothed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    path = folder / FINDER_FILE
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    return rate, path
