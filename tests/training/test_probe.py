"""``finetune=probe``: an ordinary run folder whose network computes what the probe computed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import heritage
from heritage.core.console import Console
from heritage.errors import CheckpointError, ConfigError
from heritage.features.compute import ImageFeatures
from heritage.features.predict_loop import predict_loader
from heritage.inference.checkpoint import load_checkpoint
from heritage.inference.test_set import open_test_set
from heritage.models.heads import CosineHead, NearestNeighbourHead
from heritage.runs.job_state import State, state_of
from heritage.runs.read_predictions import read_run
from heritage.runs.run_result import RunResult
from heritage.training.build import build
from heritage.training.probe_run import ProbeRun
from tests.conftest import Command

HEADS = {"logistic": torch.nn.Linear, "ridge": torch.nn.Linear, "prototypes": CosineHead,
         "knn": NearestNeighbourHead}  # fmt: skip


def words(tree: Path, outputs: Path, run: Path, *more: str) -> list[str]:
    return [
        "data=class_folders", f"data.root={tree}", "data/split=image", "data.split.test=0.3",
        "data.image_size=32", "data.num_workers=0", "model=resnet10t", "trainer=cpu",
        "trainer.precision=32-true", "finetune=probe", "finetune.penalty=[1.0,0.01]", "finetune.folds=3",
        f"paths.outputs={outputs}", f"paths.run={run}", *more,
    ]  # fmt: skip


def built(tree: Path, outputs: Path, run: Path, *more: str) -> ProbeRun:
    one = build(heritage.compose("train", words(tree, outputs, run, *more)), Console(quiet=True))
    assert isinstance(one, ProbeRun)
    return one


def fitted(tree: Path, outputs: Path, run: Path, *more: str) -> ProbeRun:
    """Fit a probe and write its folder."""
    one = built(tree, outputs, run, *more)
    one.fit()
    one.report()
    return one


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probes")


@pytest.fixture(scope="module")
def folders(tree: Path, outputs: Path) -> dict[str, Path]:
    """Return run folders of the four heads on one store."""
    for head in HEADS:
        fitted(tree, outputs, outputs / head, f"finetune.head={head}")
    return {head: outputs / head for head in HEADS}


@pytest.mark.parametrize("head", HEADS)
def test_the_deployed_network_computes_the_probe(folders: dict[str, Path], head: str) -> None:
    trained = load_checkpoint(folders[head])
    assert type(trained.model.net.get_classifier()) is HEADS[head]  # type: ignore[operator]
    written = read_run(folders[head])
    data = open_test_set(trained, {"root": None, "batch_size": None}, "test").data
    predicted = predict_loader(trained.model, data.eval_loader("test"), torch.device("cpu"))
    np.testing.assert_allclose(predicted.probabilities, written.probabilities, atol=1e-4)
    # random features of stripes are good ones
    assert (written.probabilities.argmax(axis=1) == written.targets).mean() > 0.6


def test_all_heads_share_one_store(folders: dict[str, Path], outputs: Path) -> None:
    assert len(list((outputs / "features").iterdir())) == 1
    assert all(state_of(folder) is State.FINISHED for folder in folders.values())


@pytest.mark.parametrize("head", ["prototypes", "knn"])
def test_a_head_is_fitted_again_in_place_of_the_earlier_one(
    tree: Path, outputs: Path, folders: dict[str, Path], tmp_path: Path, head: str
) -> None:
    run = built(tree, outputs, tmp_path / "run", f"finetune.head={head}")
    run.fit()
    run.fit()
    once = load_checkpoint(folders[head]).model.state_dict()
    again = load_checkpoint(tmp_path / "run").model.state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_the_report_has_the_grid(folders: dict[str, Path]) -> None:
    with (folders["logistic"] / "tables" / "probe.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["penalty"], row["standardise"]) for row in rows] == [
        ("1", "true"), ("0.01", "true"), ("1", "false"), ("0.01", "false"),
    ]  # fmt: skip
    best = max(rows, key=lambda row: float(row["macro-F1"]))
    assert [row["chosen"] for row in rows].count("yes") == 1
    assert best["chosen"] == "yes"
    report = (folders["logistic"] / "report.md").read_text()
    assert "| penalty | standardise | macro-F1 |" in report
    assert "of 4 settings by 3-fold cross-validation in groups of the training split" in report
    assert "features of an untrained network" in report
    result = RunResult("train", folders["knn"])
    assert float(result) == result.metrics["val/macro_f1"]


def test_evaluate_predict_explain_and_export_take_it(
    folders: dict[str, Path], heritage: Command, photographs: Path, tmp_path: Path
) -> None:
    for head, folder in folders.items():
        done = heritage("predict", f"ckpt={folder}", f"input={photographs}", "num_workers=0", "device=cpu",
                        f"out={tmp_path / f'{head}.csv'}")  # fmt: skip
        assert done.code == 0, done.err
    done = heritage(
        "evaluate", f"ckpt={folders['knn']}", "audits=null", f"hydra.run.dir={tmp_path / 'evaluated'}"
    )
    assert done.code == 0, done.err
    done = heritage("explain", f"ckpt={folders['prototypes']}", "explain.faithfulness_images=2",
                    "explain.images_per_class=1", f"hydra.run.dir={tmp_path / 'explained'}")  # fmt: skip
    assert done.code == 0, done.err


def test_other_heads_are_exported(folders: dict[str, Path], heritage: Command, tmp_path: Path) -> None:
    done = heritage("export", f"ckpt={folders['knn']}", "format=onnx", f"out={tmp_path / 'onnx'}")
    assert done.code == 0, done.err  # within the tolerances of the parity check
    done = heritage(
        "export", f"ckpt={folders['prototypes']}", "format=safetensors", f"out={tmp_path / 'tensors'}"
    )
    assert done.code == 0, done.err
    assert "heritage.models only" in done.out


def test_resuming_uses_the_stored_features_and_changes_nothing(
    tree: Path, folders: dict[str, Path], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_checkpoint(folders["ridge"]).model.state_dict()
    with pytest.raises(CheckpointError, match="already holds a run"):
        built(tree, outputs, folders["ridge"], "finetune.head=ridge")

    def run(*_: object) -> int:
        raise AssertionError("features were computed again")

    monkeypatch.setattr(ImageFeatures, "_run", run)
    fitted(tree, outputs, folders["ridge"], "finetune.head=ridge", "resume=true")
    after = load_checkpoint(folders["ridge"]).model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(CheckpointError, match="another configuration"):
        built(tree, outputs, folders["ridge"], "finetune.head=logistic", "resume=true")


def test_a_finished_head_is_tested_without_fitting(
    tree: Path, folders: dict[str, Path], outputs: Path
) -> None:
    run = built(tree, outputs, folders["knn"], "finetune.head=knn", "resume=true")
    assert run.test()["accuracy"] == pytest.approx(RunResult("train", folders["knn"]).metrics["accuracy"])


REFUSED = {
    "balance=weights finetune.head=prototypes": "balance/weighting cannot balance",
    "augment=strong": "no effect",
    "optimizer.lr=0.1": "no effect",
    "trainer.max_epochs=3": "no effect",
    "callbacks=ema": "no effect",
    "balance.loss.label_smoothing=0.2": "no effect",
    "model.head=cosine": "no effect",
    "trainer.devices=2": "no effect|one process",
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line(
    tree: Path, outputs: Path, tmp_path: Path, given: str
) -> None:
    with pytest.raises(ConfigError, match=REFUSED[given]) as error:
        built(tree, outputs, tmp_path / "run", *given.split()).fit()
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_sweep_over_heads_and_its_plan(tree: Path, heritage: Command, tmp_path: Path) -> None:
    options = words(tree, tmp_path / "outputs", tmp_path / "unused")[:-1]
    sweep = [
        "train",
        "-m",
        *options,
        "finetune.head=ridge,prototypes",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    ]
    planned = heritage(*sweep, "plan=true")
    assert planned.code == 0, planned.err
    assert "no job was started" in planned.out
    assert not (tmp_path / "outputs").exists()
    done = heritage(*sweep)
    assert done.code == 0, done.err
    reports = sorted((tmp_path / "sweep").glob("*/report.md"))
    assert len(reports) == 2
    assert len(list((tmp_path / "outputs" / "features").iterdir())) == 1
    compared = heritage("compare", f"runs={tmp_path / 'sweep'}", f"hydra.run.dir={tmp_path / 'compared'}")
    assert compared.code == 0, compared.err
