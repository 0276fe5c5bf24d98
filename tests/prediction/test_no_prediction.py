"""An output that is not finite never becomes a prediction, wherever it is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from heritage.errors import CheckpointError, HeritageError, ImageError
from heritage.metrics.finite import NO_PREDICTION
from heritage.models.normalize import NormalizedModel
from heritage.prediction import load
from heritage.prediction.decision_rule import DecisionRule
from tests.conftest import Command

DARK = 60.0


@pytest.fixture
def overflowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every network return infinite logits for dark images."""
    forward = NormalizedModel.forward

    def overflows(self: NormalizedModel, images: Tensor) -> Tensor:
        logits = forward(self, images)
        dark = images.float().mean(dim=(1, 2, 3)) < DARK
        return torch.where(dark[:, None], torch.tensor(float("inf")), logits)

    monkeypatch.setattr(NormalizedModel, "forward", overflows)


@pytest.fixture
def pictures(photographs: Path) -> Path:
    """Add a dark photograph to the others."""
    from PIL import Image

    Image.new("RGB", (64, 64)).save(photographs / "dark.png")
    return photographs


def test_the_decision_rule_returns_nan_without_a_warning() -> None:
    logits = np.array([[1.0, 2.0], [np.inf, 0.0], [np.nan, 0.0], [-np.inf, 0.0]], dtype=np.float32)
    with np.errstate(all="raise"):
        probabilities = DecisionRule(temperature=2.0).probabilities(logits)
    assert np.isnan(probabilities).all(axis=1).tolist() == [False, True, True, True]
    assert probabilities[0].sum() == pytest.approx(1)


@pytest.mark.usefixtures("overflowing")
def test_from_python_the_prediction_has_an_error(calibrated: Path, pictures: Path) -> None:
    predictor = load(calibrated, device="cpu")
    single = predictor.predict(pictures / "dark.png")
    assert (single.label, single.error, dict(single.probabilities)) == (None, NO_PREDICTION, {})
    assert single.unsure
    assert "no prediction: the network" in single._repr_html_()
    several = predictor.predict([pictures / "0.jpg", pictures / "dark.png", pictures / "1.jpg"])
    assert [one.error for one in several] == [None, NO_PREDICTION, None]
    assert np.isnan(several.probabilities).all(axis=1).tolist() == [False, True, False]
    embeddings = predictor.embed([pictures / "0.jpg", pictures / "dark.png"])
    assert np.isnan(embeddings).all(axis=1).tolist() == [False, True]
    with pytest.raises(ImageError, match="no prediction"):
        predictor.explain(pictures / "dark.png", method="occlusion")


@pytest.mark.usefixtures("overflowing")
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_table_holds_the_reason(
    heritage: Command, calibrated: Path, pictures: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / f"table.{form}"
    words = (f"ckpt={calibrated}", f"input={pictures}", f"out={out}", "device=cpu", "num_workers=0")
    done = heritage("predict", *words, *(["embeddings=true"] if form == "jsonl" else []))
    assert done.code == 0, done.err
    assert "no prediction 1" in done.out
    assert "nan" not in out.read_text().lower()
    (line,) = (line for line in out.read_text().splitlines() if "dark.png" in line)
    assert NO_PREDICTION in line
    if form == "jsonl":
        assert json.loads(line) == {"file": "dark.png", "error": NO_PREDICTION}


@pytest.mark.usefixtures("overflowing")
def test_a_response_holds_the_reason(calibrated: Path, pictures: Path, tmp_path: Path) -> None:
    import httpx

    from tests.server.running import serving

    def part(name: str) -> tuple[str, tuple[str, bytes, str]]:
        return "pictures", (name, (pictures / name).read_bytes(), "image/png")

    with serving(calibrated, tmp_path / "cache") as address:
        alone = httpx.post(f"{address}/predict", files=[part("dark.png")])
        assert alone.status_code == 500
        assert alone.json()["error"]["code"] == "no_prediction"
        both = httpx.post(f"{address}/predict", files=[part("0.jpg"), part("dark.png")]).json()["pictures"]
        assert both[0]["error"] is None
        assert both[1]["prediction"] is None
        assert both[1]["error"]["code"] == "no_prediction"


@pytest.mark.usefixtures("overflowing")
def test_an_export_of_such_a_network_is_refused(
    heritage: Command, calibrated: Path, pictures: Path, tmp_path: Path
) -> None:
    words = (f"ckpt={calibrated}", "format=safetensors", f"out={tmp_path / 'e'}")
    done = heritage("export", *words, f"pictures={pictures}")
    assert done.code == 2
    assert "no prediction for 1 of" in done.err
    assert not (tmp_path / "e").exists()


def test_evaluation_leaves_them_out_and_names_them(
    heritage: Command, calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = NormalizedModel.forward
    lost: list[float] = []

    def overflows(self: NormalizedModel, images: Tensor) -> Tensor:
        logits, means = forward(self, images), images.float().mean(dim=(1, 2, 3))
        lost.extend([float(means[0])] * (not lost))  # the first image of all, in every pass
        return torch.where((means == lost[0])[:, None], torch.tensor(float("nan")), logits)

    monkeypatch.setattr(NormalizedModel, "forward", overflows)
    run = shutil.copytree(calibrated, tmp_path / "run")  # the evaluation writes its calibration into it
    words = (
        f"ckpt={run}",
        "device=cpu",
        "report.resamples=20",
        "audits.map=0",
        f"paths.run={tmp_path / 'report'}",
    )
    done = heritage("evaluate", *words)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert any("1 images have no prediction" in note for note in metrics["notes"])


def test_a_calibration_that_is_no_number_is_refused(calibrated: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(calibrated, tmp_path / "copy")
    content = json.loads((folder / "calibration.json").read_text())
    for name, value in (("temperature", float("nan")), ("temperature", 1e-300), ("temperature", float("inf")),
                        ("threshold", float("nan")), ("threshold", 2.0), ("threshold", [])):  # fmt: skip
        (folder / "calibration.json").write_text(json.dumps(content | {name: value}))
        with pytest.raises(CheckpointError, match=r"calibration\.json"):
            load(folder)


def test_weights_that_are_not_finite_are_refused(calibrated: Path, tmp_path: Path) -> None:
    state = torch.load(calibrated / "checkpoints" / "best.ckpt", weights_only=True)
    for value in (float("nan"), float("inf")):
        name = next(name for name, weight in state["state_dict"].items() if weight.is_floating_point())
        changed = state["state_dict"][name].clone()
        changed[(0,) * changed.ndim] = value
        torch.save(
            {**state, "state_dict": state["state_dict"] | {name: changed}}, file := tmp_path / "x.ckpt"
        )
        with pytest.raises(HeritageError, match="NaN or infinite"):
            load(file)
