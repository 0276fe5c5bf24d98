"""Photographs unlike the training images get no class: in Python, in tables and in the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import heritage
from heritage.core.image_io import encode_jpeg
from heritage.errors import CheckpointError
from heritage.evaluation import outliers
from heritage.evaluation.outlier_pictures import PictureSet, picture_sets
from heritage.features.extractor import backbone_digest
from heritage.metrics.outliers import fit_score
from heritage.runs.outliers import OutlierRule, read_outliers, write_outliers
from heritage.server.batcher import NetworkOutput
from heritage.server.combination import combined_output
from tests.conftest import Command, patch


@pytest.fixture
def scored(calibrated: Path, tmp_path: Path, photographs: Path) -> Path:
    """Return a copy of a run with a score of which one image alone is inside."""
    folder = tmp_path / "scored"
    shutil.copytree(calibrated, folder)
    predictor = heritage.load(folder)
    embeddings = predictor.embed([photographs / "0.jpg"])
    score = fit_score("knn", embeddings, np.zeros(1, dtype=np.int64))
    weights = backbone_digest(predictor.trained.model.net)
    write_outliers(OutlierRule(score, 1e-4, 100, 50, "x", weights, {}), folder)
    return folder


def test_python_marks_what_is_unlike(scored: Path, photographs: Path) -> None:
    predictor = heritage.load(scored)
    same, other, cut = predictor.predict([photographs / name for name in ("0.jpg", "3.jpg", "cut.jpg")])
    assert same.unlike_training is False
    assert same.outlier_score is not None
    assert same.outlier_score < 1
    assert other.unlike_training
    assert other.unsure
    assert repr(other) == "Prediction(unlike the training images, '3.jpg')"
    assert "unlike the training images" in other._repr_html_()
    assert cut.unlike_training is None
    assert predictor.predict([photographs / "3.jpg"]).counts() == {"unlike_training": 1}
    off = heritage.load(scored, outliers=False).predict(photographs / "3.jpg")
    assert (off.unlike_training, off.outlier_score) == (None, None)
    assert heritage.load(scored, tta="flip").predict(photographs / "3.jpg").unlike_training is None


def test_tables_mark_what_is_unlike(
    scored: Path, photographs: Path, heritage: Command, tmp_path: Path
) -> None:
    out = tmp_path / "rows.parquet"
    words = ("predict", f"ckpt={scored}", f"input={photographs}", f"out={out}", "num_workers=0")
    done = heritage(*words)
    assert done.code == 0, done.err
    assert "unlike_training 5" in done.out
    rows = {row["file"]: row for row in pq.read_table(out).to_pylist()}
    assert rows["0.jpg"]["unlike_training"] is False
    assert rows["0.jpg"]["prediction"] != "unlike_training"
    assert rows["3.jpg"]["outlier_score"] > 1
    assert (rows["3.jpg"]["prediction"], rows["3.jpg"]["unsure"]) == ("unlike_training", True)
    assert rows["cut.jpg"]["unlike_training"] is None
    assert heritage(*words, "overwrite=true", "outliers=false").code == 0
    assert "unlike_training" not in pq.read_table(out).column_names


def test_a_score_of_other_weights_marks_nothing(scored: Path, caplog: pytest.LogCaptureFixture) -> None:
    rule = read_outliers(scored)
    assert rule is not None
    write_outliers(OutlierRule(rule.score, 1.0, 100, 50, "x", "other", {}), scored)
    assert heritage.load(scored).outliers is None
    assert "other weights" in caplog.text


def test_a_damaged_score_is_refused_and_can_be_switched_off(scored: Path) -> None:
    (scored / "outliers.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"unreadable outlier score .*outliers=false"):
        heritage.load(scored)
    assert heritage.load(scored, outliers=False).outliers is None


def test_scores_of_one_object_are_averaged() -> None:
    outputs = [NetworkOutput(np.array([0.5, 0.5]), np.ones(3, np.float32), True, one) for one in (0.8, 1.6)]
    assert combined_output(outputs).outlier_score == pytest.approx(1.2)
    plain = [NetworkOutput(np.array([0.5, 0.5]), np.ones(3, np.float32))]
    assert combined_output(plain).outlier_score is None


def few_pictures() -> list[PictureSet]:
    noise = [np.random.default_rng(k).integers(0, 256, (50, 40, 3), dtype=np.uint8) for k in range(6)]
    return [PictureSet("noise", "noise", noise, [str(k) for k in range(6)])]


def test_evaluate_fits_and_measures_the_score(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outliers, "picture_sets", few_pictures)
    many = tmp_path / "many"
    for k, name in enumerate(("egyptian", "asian")):
        (many / name).mkdir(parents=True)
        for number in range(110):
            (many / name / f"{number:03d}.jpg").write_bytes(encode_jpeg(patch(3 * k, number)))
    run, out = tmp_path / "run", tmp_path / "out"
    words = [word for word in tiny if not word.startswith("data.root=")]
    done = heritage("train", *words, f"data.root={many}", f"hydra.run.dir={run}", "trainer.max_epochs=1")
    assert done.code == 0, done.err
    quick = ("audits.museum=false", "audits.background=false", "audits.map=0", "report.resamples=20")
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={out}", *quick)
    assert done.code == 0, done.err
    rule = read_outliers(run)
    assert rule is not None
    assert rule.groups >= 19
    record: dict[str, Any] = json.loads((out / "metrics.json").read_text())["audits"]["unlike_training"]
    assert set(record["against"]) == {"noise", "without_egyptian", "without_asian"}
    assert 0 <= record["against"]["noise"]["auroc"] <= 1
    assert record["against"]["noise"]["interval"] is not None
    assert "## Photographs unlike the training images" in (out / "report.md").read_text()
    assert "unlike_training" in (run / "audits.json").read_text()
    path = run / "outliers.safetensors"
    path.unlink()
    off = (*quick, "audits.outliers=false")
    assert heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={out}", *off).code == 0
    assert not path.exists()


def test_pictures_made_by_code_are_always_the_same() -> None:
    one, other = picture_sets(), picture_sets()
    assert [group.key for group in one] == ["demo", "noise", "scenes", "photographs"]
    for ours, theirs in zip(one, other, strict=True):
        assert len(ours.pictures) == len(ours.groups)
        assert all(np.array_equal(a, b) for a, b in zip(ours.pictures, theirs.pictures, strict=True))
