"""Lines of epochs: validation metrics are shown for the epochs that have them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pytorch_lightning.callbacks import Callback

from heritage.training.callbacks.progress import RunProgress


def test_an_epoch_without_validation_shows_no_validation_metrics(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress: Callback = RunProgress()
    network = cast(Any, SimpleNamespace(total_steps=4))
    trainer: Any = SimpleNamespace(
        is_global_zero=True, accumulate_grad_batches=1, current_epoch=0, max_epochs=2,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=-1)), callback_metrics={},
    )  # fmt: skip
    progress.on_train_start(trainer, network)
    for epoch, metrics in enumerate(({"train/loss": 2.0, "val/loss": 1.0}, {"train/loss": 1.5})):
        trainer.current_epoch = epoch
        trainer.callback_metrics |= metrics  # Lightning keeps those of earlier epochs
        progress.on_train_epoch_start(trainer, network)
        if "val/loss" in metrics:
            progress.on_validation_end(trainer, network)
        progress.on_train_epoch_end(trainer, network)
    progress.on_train_end(trainer, network)
    lines = [line.split() for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")]
    assert lines == [
        ["epoch", "1/2", "loss", "2.0000", "val", "loss", "1.0000"],
        ["epoch", "2/2", "loss", "1.5000"],
    ]
