"""Checkpoints are written atomically."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from heritage.errors import TrainingError
from heritage.training.callbacks.checkpoints import AtomicCheckpointIO


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("PytorchStreamWriter failed")]
)
def test_a_full_disk_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    real = torch.save

    def half(checkpoint: object, target: Path) -> None:
        real(checkpoint, target)
        target.write_bytes(target.read_bytes()[:100])
        raise error

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(TrainingError, match="the previous one is intact"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]
