"""Runs of a k-fold split are pooled and compared as one run over the whole data set."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from heritage.comparison.runs import find_runs, pool_folds
from heritage.errors import DataError
from heritage.runs.description import Fold
from heritage.runs.files import METRICS_FILE
from heritage.runs.read_predictions import FinishedRun
from tests.conftest import Command

SPLIT = {"_target_": "heritage.data.split.by_fold", "folds": 2, "val": 0.2, "seed": 0}


@pytest.fixture(scope="module")
def folds(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of each run, each tested on every other image of the run's test set."""
    folder = tmp_path_factory.mktemp("cross-validation")
    for name in ("none", "weights"):
        table = pq.read_table(runs / name / "predictions.parquet")
        for number in (0, 1):
            copy = shutil.copytree(runs / name, folder / f"{name},fold={number}")
            pq.write_table(table.take(np.arange(number, len(table), 2)), copy / "predictions.parquet")
            config = OmegaConf.load(copy / "config.yaml")
            config.data.split = {**SPLIT, "fold": number}
            OmegaConf.save(config, copy / "config.yaml")
            hydra = OmegaConf.load(copy / ".hydra" / "hydra.yaml")
            hydra.hydra.overrides.task.append(f"data.split.fold={number}")
            OmegaConf.save(hydra, copy / ".hydra" / "hydra.yaml")
    return folder


def balances(result: list[FinishedRun]) -> dict[str, FinishedRun]:
    return {run.description.balance: run for run in result}


def test_folds_become_one_run(runs: Path, folds: Path) -> None:
    whole, joined = balances(find_runs([str(runs)])), balances(find_runs([str(folds)]))
    assert joined.keys() == whole.keys() == {"none", "weights"}
    for name, run in joined.items():
        assert run.images == whole[name].images
        assert run.groups == whole[name].groups
        assert run.confusion.counts.tolist() == whole[name].confusion.counts.tolist()
        assert run.probabilities.tolist() == whole[name].probabilities.tolist()
        assert (run.folds, run.images_seen) == (2, whole[name].images_seen)


def test_runs_of_one_fold_are_not_pooled(folds: Path) -> None:
    result = find_runs([str(folds / f"{name},fold=1") for name in ("none", "weights")])
    assert [run.folds for run in result] == [1, 1]


def test_an_evaluation_records_its_fold(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    kfold = ("data/split=kfold", "data.split.folds=2", "data.split.fold=1")
    done = heritage("train", *tiny, *kfold, f"hydra.run.dir={run}")
    assert done.code == 0, done.err
    words = ("report.resamples=10", "audits.map=0", "audits.museum=false", "audits.background=false")
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={out}", *words)
    assert done.code == 0, done.err
    assert json.loads((out / METRICS_FILE).read_text())["fold"] == {"number": 1, "folds": 2, "seed": 0}
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'val'}", "split=val", *words)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "val" / METRICS_FILE).read_text())["fold"] is None


def test_evaluations_of_folds_become_one_run(folds: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        copy = shutil.copytree(folds / f"none,fold={number}", tmp_path / f"adjusted,fold={number}")
        metrics = json.loads((copy / METRICS_FILE).read_text())
        recipe = {"model": "vit", "optimizer": "adamw", "balance": "none logit_adjustment=1", "seed": 0}
        metrics |= {"recipe": recipe, "fold": {"number": number, "folds": 2, "seed": 0}}
        (copy / METRICS_FILE).write_text(json.dumps(metrics))
    result = balances(find_runs([str(folds), str(tmp_path)]))
    assert result["none logit_adjustment=1"].images == result["none"].images


def test_incomplete_or_repeated_folds_are_refused(folds: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of 2 folds of .* weights .*, seed 0, there are 0;"):
        find_runs([str(folds / name) for name in ("none,fold=0", "none,fold=1", "weights,fold=0")])
    again = shutil.copytree(folds / "none,fold=0", tmp_path / "again")
    with pytest.raises(DataError, match="there are 0, 0, 1"):
        find_runs([str(folds), str(again)])
    first, second = (find_runs([str(folds / f"none,fold={number}")])[0] for number in (0, 1))
    with pytest.raises(DataError, match="images of another fold"):
        pool_folds([first, replace(first, fold=second.fold)])
    with pytest.raises(DataError, match="has the classes"):
        pool_folds([first, replace(second, classes=second.classes[::-1])])
    assert first.fold == Fold(0, 2, 0)


def test_the_page_notes_pooled_folds(heritage: Command, folds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = heritage("compare", f"runs='{folds}'", f"hydra.run.dir={out}", "intervals.resamples=20")
    assert done.code == 0, done.err
    assert "2 runs, 2 settings" in done.out
    assert "Predictions of 2 folds are pooled" in (out / "comparison.md").read_text()
