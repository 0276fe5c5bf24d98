"""A signal stops a run only between two steps, after its state is saved."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from heritage.training.callbacks.safeguard import Safeguard, Stopped


@pytest.fixture
def saved() -> list[Path]:
    return []


@pytest.fixture
def trainer(saved: list[Path]) -> Any:
    return SimpleNamespace(
        fast_dev_run=False,
        world_size=1,
        accumulate_grad_batches=2,
        num_training_batches=5,
        should_stop=False,
        save_checkpoint=saved.append,
    )


def test_a_signal_lets_the_step_finish_and_saves(trainer: Any, saved: list[Path], tmp_path: Path) -> None:
    module: Any = None
    before = signal.getsignal(signal.SIGTERM)
    guard = Safeguard(None, folder=str(tmp_path))
    guard.on_train_start(trainer, module)
    os.kill(os.getpid(), signal.SIGTERM)
    guard.on_train_batch_end(trainer, module, None, module, batch_idx=0)  # half of an accumulated step
    assert saved == []
    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        guard.on_train_batch_end(trainer, module, None, module, batch_idx=1)
    assert saved == [tmp_path / "checkpoints" / "last.ckpt"]
    guard.on_exception(trainer, module, Stopped(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_during_the_last_validation_stops_the_run(
    trainer: Any, saved: list[Path], tmp_path: Path
) -> None:
    module: Any = None
    guard = Safeguard(None, folder=str(tmp_path))
    guard.on_train_start(trainer, module)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Stopped, match="stopped by Ctrl-C"):
        guard.on_train_epoch_end(trainer, module)
    assert len(saved) == 1
    guard.on_train_end(trainer, module)


def test_a_second_signal_stops_immediately_unless_it_is_the_same_one(
    trainer: Any, saved: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timeout` sends a signal to the process, and at once to its group."""
    module: Any = None
    guard = Safeguard(None, folder=str(tmp_path))
    guard.on_train_start(trainer, module)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.setattr("heritage.core.signals._REPEATED_WITHIN", 0.0)
    with pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)
    assert saved == []
    guard.on_train_end(trainer, module)


@pytest.mark.parametrize("stopping", [False, True])
def test_the_last_step_of_an_epoch_is_not_saved_twice(
    trainer: Any, saved: list[Path], tmp_path: Path, stopping: bool
) -> None:
    """Resuming from between the last step and the validation would skip the validation."""
    module: Any = None
    trainer.should_stop = stopping  # max_steps ends a run in mid-epoch
    guard = Safeguard(1e-9, folder=str(tmp_path))
    guard.on_train_start(trainer, module)
    os.kill(os.getpid(), signal.SIGTERM)
    guard.on_train_batch_end(trainer, module, None, module, batch_idx=3 if stopping else 4)
    assert saved == []
    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        guard.on_train_epoch_end(trainer, module)
    assert len(saved) == 1
    guard.on_train_end(trainer, module)
