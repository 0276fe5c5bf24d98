"""The checkpoint that ``ckpt`` names: a file, or the best one of a run folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heritage.errors import CheckpointError
from heritage.runs.checkpoints import find_checkpoint


def test_a_run_folder_is_its_best_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints" / "best.ckpt"
    file.parent.mkdir()
    file.write_bytes(b"")
    assert find_checkpoint(tmp_path) == find_checkpoint(str(file)) == file


@pytest.mark.parametrize("name", ["", "nothing", "nothing.ckpt"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(tmp_path / name))}: no "):
        find_checkpoint(tmp_path / name)


def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "moved.ckpt"
    file.write_bytes(b"")
    assert find_checkpoint("~/moved.ckpt") == file


@pytest.mark.parametrize("name", ["", "model.pt2", "model.onnx", "model.safetensors"])
def test_an_export_is_named_as_one(tmp_path: Path, name: str) -> None:
    for file in ("heritage.json", "README.md", name or "model.onnx"):
        (tmp_path / file).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"an export, which is for other programs; give the run folder"):
        find_checkpoint(tmp_path / name)
    (tmp_path / "heritage_run.json").write_bytes(b"{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert find_checkpoint(tmp_path) == find_checkpoint(tmp_path / "model.safetensors")
