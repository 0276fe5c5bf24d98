"""Every command that predicts reports that a network was trained on the drawn demo set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import pytest
import torch

from heritage import load
from heritage.metrics.calibration import Calibration, FittedOn, HeldOut
from heritage.runs.calibration import write_calibration
from heritage.runs.training_images import RECORD
from heritage.server.schemas import ModelInfo, PredictionResponses
from tests.conftest import Command
from tests.server.running import serving

SEEN = "it has seen no photograph"
UNSURE = "No threshold reaches a precision of 95 % on 30 images of the val split: every prediction is unsure."


@pytest.fixture(scope="module")
def drawn(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that recorded that its training images are drawings, and found no threshold."""
    folder = shutil.copytree(run_folder, tmp_path_factory.mktemp("drawn") / "run")
    file = folder / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    assert state["heritage"][RECORD] == {"images": 54, "drawn": 0}
    state["heritage"][RECORD] = {"images": 54, "drawn": 54}
    torch.save(state, file)
    fitted = Calibration(2.0, None, 0.95, FittedOn("val", 30, "x", 10), 0.2, 0.1, HeldOut(5, 0.2, 0.1))
    write_calibration(fitted, folder)
    return folder


def test_the_command_reports_it(heritage: Command, drawn: Path, photographs: Path) -> None:
    done = heritage("predict", f"ckpt={drawn}", f"input={photographs / '0.jpg'}", "num_workers=0")
    assert done.code == 0, done.err
    assert SEEN in done.out
    assert UNSURE in done.out
    assert "calibration unknown: 10 groups are too few to measure it" in done.out


def test_python_reports_it(drawn: Path, photographs: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = load(drawn, device="cpu")
    assert SEEN in caplog.text
    assert "trained on drawings only" in repr(predictor)
    prediction = predictor.predict(photographs / "0.jpg")
    assert prediction.unsure
    assert any(SEEN in note for note in prediction.notes)
    assert SEEN in prediction._repr_html_()
    predictions = predictor.predict([photographs / "0.jpg", photographs / "1.jpg"])
    assert predictions.counts() == {"unsure": 2}
    assert predictions.notes == predictor.notes
    assert predictions._repr_html_().count(SEEN) == 1


def test_the_page_and_the_api_report_it(drawn: Path, photographs: Path, tmp_path: Path) -> None:
    with serving(drawn, tmp_path) as address:
        about = ModelInfo.model_validate_json(httpx.get(f"{address}/about").content)
        files = {"picture": (photographs / "0.jpg").read_bytes()}
        content = httpx.post(f"{address}/predict", files=files, timeout=60).content
    assert about.drawn
    assert about.all_unsure
    assert not about.calibrated
    assert SEEN in about.notes[0]
    assert about.notes[1] == UNSURE
    predictions = PredictionResponses.model_validate_json(content)
    assert predictions.notes == about.notes
    assert predictions.pictures[0].prediction == "unsure"


def test_the_model_card_reports_it(heritage: Command, drawn: Path, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "card"
    done = heritage("export", f"ckpt={drawn}", "format=safetensors", f"out={out}",
                    f"pictures={photographs / '0.jpg'}")  # fmt: skip
    assert done.code == 0, done.err
    assert SEEN in done.out
    card = (out / "README.md").read_text()
    assert SEEN in card
    assert "drawn test images" in card
    assert UNSURE in card
    assert "The probabilities are calibrated" not in card
    about = json.loads((out / "heritage.json").read_text())
    assert about["training_images"] == {"images": 54, "drawn": 54}
    assert about["calibration"]["all_unsure"] is True
    assert about["calibration"]["calibrated"] is False
