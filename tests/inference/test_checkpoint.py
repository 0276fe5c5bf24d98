"""A checkpoint alone is enough to predict, and files of other origin are refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from heritage.errors import CheckpointError
from heritage.inference.checkpoint import load_checkpoint
from tests.conftest import Command


@pytest.fixture
def run_folder(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    done = heritage("train", *tiny, "callbacks=ema", "callbacks.ema.from_step=0", f"hydra.run.dir={folder}")
    assert done.code == 0, done.err
    return folder


def test_a_loaded_network_predicts_as_its_report(run_folder: Path) -> None:
    classifier = load_checkpoint(run_folder)
    assert classifier.folder == run_folder
    assert classifier.image_size == 32
    rows = pq.read_table(run_folder / "predictions.parquet").to_pylist()
    from heritage.core.image_io import decode
    from heritage.data.augment import eval_transform

    resize = eval_transform(classifier.image_size, classifier.crop_pct, classifier.interpolation)
    root = Path(classifier.config["data"]["root"])
    pictures = [decode((root / row["file"]).read_bytes(), at_least=classifier.image_size) for row in rows]
    images = torch.stack([torch.from_numpy(resize(picture).copy()) for picture in pictures])
    with torch.inference_mode():
        probabilities = classifier.model(images).softmax(dim=1)
    for name, column in zip(classifier.classes, probabilities.T, strict=True):
        expected = torch.tensor([row[f"p_{name}"] for row in rows], dtype=torch.float32)
        torch.testing.assert_close(column, expected, atol=1e-5, rtol=0)


def test_foreign_and_damaged_checkpoints_are_refused(run_folder: Path, tmp_path: Path) -> None:
    best = run_folder / "checkpoints" / "best.ckpt"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nowhere.ckpt")
    with pytest.raises(CheckpointError, match=r"no checkpoints/best\.ckpt"):
        load_checkpoint(tmp_path)
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(best.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(cut)
    text = tmp_path / "text.ckpt"
    text.write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(text)
    bare = tmp_path / "bare.ckpt"
    torch.save({"state_dict": {}}, bare)
    with pytest.raises(CheckpointError, match="lacks configuration"):
        load_checkpoint(bare)


def test_a_checkpoint_cannot_name_code_to_run(run_folder: Path, tmp_path: Path) -> None:
    state = torch.load(run_folder / "checkpoints" / "best.ckpt", weights_only=True)
    state["heritage"]["config"]["model"] = {"_target_": "os.mkdir", "path": str(tmp_path / "harm")}
    torch.save(state, hostile := tmp_path / "hostile.ckpt")
    with pytest.raises(CheckpointError, match="not this package's"):
        load_checkpoint(hostile)
    assert not (tmp_path / "harm").exists()
