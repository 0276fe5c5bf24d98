"""Training through the command line, on tiny images."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from sklearn.metrics import classification_report

from tests.conftest import COUNTS, Command, write_tree

MODELS = ("resnet10t", "resnet50", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "vit")
BALANCES = ("none", "weights", "undersample", "oversample", "sampler")


def only_run(folder: Path) -> Path:
    runs = list(folder.glob("outputs/train/*/*"))
    assert len(runs) == 1
    return runs[0]


# Each model and each balance once in the fast tests; in the slow ones each model with one balance more, since
# neither sampling nor loss depends on the network.
PAIRS = [
    *((MODELS[0], balance) for balance in BALANCES),
    *((model, BALANCES[0]) for model in MODELS[1:]),
    *(
        pytest.param(model, balance, marks=pytest.mark.slow)
        for model, balance in zip(MODELS[1:], itertools.cycle(BALANCES[1:]), strict=False)
    ),
]


@pytest.mark.parametrize(("model", "balance"), PAIRS)
def test_every_model_and_balance_runs(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, model: str, balance: str
) -> None:
    done = heritage("train", *tiny, f"model={model}", f"balance={balance}", "model.weights=none")
    assert done.code == 0, done.err
    run = only_run(tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 <= metrics["accuracy"] <= 1
    assert f"report: {run / 'report.md'}" in done.out.replace("\n", "")


@pytest.mark.usefixtures("drawn_figures")
def test_a_run_learns_and_its_folder_is_complete(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*tiny, "trainer.max_epochs=12", "augment=none", "optimizer.lr=3e-3", "data/split=image",
             "data.split.test=0.3")  # fmt: skip
    done = heritage("train", *words)
    assert done.code == 0, done.err
    run = only_run(tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["macro_avg"]["f1"] > 0.5  # chance is 0.17

    table = pq.read_table(run / "predictions.parquet").to_pydict()
    expected = classification_report(
        table["class"], table["predicted"], labels=list(COUNTS), output_dict=True, zero_division=0
    )
    for name in COUNTS:
        got = metrics["classes"][name]
        assert got["precision"] == pytest.approx(expected[name]["precision"], abs=1e-12)
        assert got["recall"] == pytest.approx(expected[name]["recall"], abs=1e-12)
        assert got["f1"] == pytest.approx(expected[name]["f1-score"], abs=1e-12)
        assert got["support"] == expected[name]["support"]
    for ours, theirs in (("macro_avg", "macro avg"), ("weighted_avg", "weighted avg")):
        assert metrics[ours]["f1"] == pytest.approx(expected[theirs]["f1-score"], abs=1e-12)
    shares = np.array([table[f"p_{name}"] for name in COUNTS])
    assert np.allclose(shares.sum(axis=0), 1)

    for name in ("report.md", "confusion.png", "curves.png", "environment.json", "logs/metrics.csv"):
        assert (run / name).stat().st_size > 0
    config = OmegaConf.load(run / "config.yaml")
    assert config.trainer.max_epochs == 12
    assert "${" not in (run / "config.yaml").read_text()
    data = json.loads((run / "data.json").read_text())
    assert sum(data["counts"]["train"].values()) + sum(data["counts"]["val"].values()) + sum(
        data["counts"]["test"].values()
    ) == sum(COUNTS.values())
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == list(range(12))
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])

    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["heritage"]["classes"] == list(COUNTS)
    assert best["heritage"]["fingerprint"] == data["fingerprint"]
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_the_same_seed_gives_the_same_result(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    weights = []
    for number, workers in ((0, 0), (1, 2)):
        folder = tmp_path / f"run{number}"
        done = heritage("train", *tiny, f"hydra.run.dir={folder}", f"data.num_workers={workers}",
                        "trainer.max_epochs=2", "balance=oversample")  # fmt: skip
        assert done.code == 0, done.err
        state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        weights.append(state)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("logger", ["wandb", "tensorboard", "none"])
def test_every_logger_works_without_an_account(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, logger: str
) -> None:
    done = heritage("train", *tiny, f"logger={logger}")
    assert done.code == 0, done.err
    run = only_run(tmp_path)
    if logger == "wandb":
        assert list(run.glob("wandb/offline-run-*"))
    if logger == "tensorboard":
        assert list(run.glob("tensorboard/events*"))
    assert (run / "history.csv").is_file()


@pytest.mark.parametrize("preset", ["cpu", "debug"])
def test_trainer_presets_run(heritage: Command, tiny: tuple[str, ...], preset: str) -> None:
    words = [word for word in tiny if not word.startswith("trainer.max")]
    done = heritage("train", *words, f"trainer={preset}", "trainer.max_epochs=1")
    assert done.code == 0, done.err


def test_unreadable_images_are_counted_and_reported(heritage: Command, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set")
    for name in ("000.jpg", "001.jpg", "002.jpg"):
        path = root / "orient" / name
        path.write_bytes(path.read_bytes()[:200])
    words = [f"data.root={root}", "data=class_folders", "data.image_size=32", "data.num_workers=0",
             "trainer.max_epochs=1", "trainer.accelerator=cpu", "callbacks.progress=null"]  # fmt: skip
    done = heritage("train", *words)
    assert done.code == 0, done.err
    report = next(tmp_path.glob("outputs/train/*/*/report.md")).read_text()
    assert "could not be read and were left out" in report
    read = json.loads(next(tmp_path.glob("outputs/train/*/*/metrics.json")).read_text())["images"]
    named = sum(f"orient/{name}" in report for name in ("000.jpg", "001.jpg", "002.jpg"))
    assert named == 3
    data = json.loads(next(tmp_path.glob("outputs/train/*/*/data.json")).read_text())
    lost = sum(int(line.split()[1]) for line in report.splitlines() if " test images could not" in line)
    assert read == sum(data["counts"]["test"].values()) - lost

    refused = heritage("train", *words, "data.verify=true")
    assert refused.code == 2
    assert "3 of 80 images cannot be read" in refused.err
    assert "000.jpg" in refused.err
