"""The model card states what is true of the network: its base model, and what its classes are."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from heritage.exporters.card_head import model_card_head
from heritage.exporters.export import ExportOptions, export
from heritage.exporters.model_card import base_model
from heritage.inference import checkpoint
from heritage.metrics.calibration import Calibration, FittedOn
from heritage.models.weight_licences import InitialWeights
from heritage.runs.calibration import write_calibration


@pytest.mark.parametrize(
    ("name", "weights", "base"),
    [
        ("tf_efficientnet_lite0.in1k", "imagenet", "timm/tf_efficientnet_lite0.in1k"),
        ("tf_efficientnet_lite0.in1k", "none", None),
        ("resnet10t.c3_in1k", "outputs/train/a/checkpoints/best.ckpt", None),
        ("resnet10t.c3_in1k", "hf-hub:museum/vases", "museum/vases"),
        (None, f"hf-hub:museum/vases@{'0' * 40}", "museum/vases"),
        (None, None, None),
    ],
)
def test_the_base_model_is_the_hubs_name_of_pretrained_weights(
    name: str | None, weights: str | None, base: str | None
) -> None:
    assert base_model({"name": name, "weights": weights}) == base


def test_a_run_that_starts_from_another_one_has_its_base_model() -> None:
    initial = InitialWeights("tf_efficientnet_lite0.in1k", "apache-2.0")
    model = {"name": "tf_efficientnet_lite0.in1k", "weights": "outputs/train/a/checkpoints/best.ckpt"}
    assert base_model(model, initial) == "timm/tf_efficientnet_lite0.in1k"


def test_the_head_names_the_base_model() -> None:
    text = model_card_head(
        title="x",
        licence=None,
        library="timm",
        metrics=None,
        data="vases",
        dataset=None,
        base_model="timm/a.b",
    )
    assert yaml.safe_load(text.strip("-"))["base_model"] == "timm/a.b"


@pytest.mark.parametrize("own", [True, False])
def test_only_the_six_civilisations_are_called_so(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    original = checkpoint.load_checkpoint

    def load(file: str | Path, trusted: object = ()) -> checkpoint.TrainedClassifier:
        trained = original(file)
        names = tuple(f"type {number}" for number in range(len(trained.classes)))
        return replace(trained, classes=names, folder=None) if own else trained

    monkeypatch.setattr("heritage.inference.ensemble.load_checkpoint", load)
    options = ExportOptions(
        ckpt=str(calibrated), trusted=[], format="safetensors", out=str(tmp_path / "out"),
        folder=str(tmp_path), licence=None, pictures=None, overwrite=False,
    )  # fmt: skip
    export(options)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert ("civilisation" in card, "museum departments" in card) == (not own, not own)
    assert ("classes an artefact belongs to:\ntype 0, type 1" in card) == own


def test_the_card_names_the_views_that_a_calibration_was_fitted_for(calibrated: Path, tmp_path: Path) -> None:
    run = shutil.copytree(calibrated, tmp_path / "run")
    fitted = Calibration(1.25, 0.75, 0.9, FittedOn("val", 100, "x", 60), 0.2, 0.1)
    write_calibration(fitted, run, "ten_crop")
    options = ExportOptions(
        ckpt=str(run), trusted=[], format="safetensors", out=str(tmp_path / "out"),
        folder=str(tmp_path), licence=None, pictures=None, overwrite=False,
    )  # fmt: skip
    export(options)
    card = " ".join((tmp_path / "out" / "README.md").read_text(encoding="utf-8").split())
    assert "All of this holds for one view" in card
    assert (
        "`ten_crop` (10 views), divide their logarithms by 1.25; below 0.750 a prediction is unsure." in card
    )
    assert "`flip`" not in card
