"""Out-of-fold predictions of the runs of a k-fold split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from heritage.core.manifest import Manifest
from heritage.errors import CheckpointError, DataError
from heritage.metrics.label_errors import find_label_errors
from heritage.runs.out_of_fold import out_of_fold
from tests.conftest import COUNTS, Command


@pytest.fixture(scope="module")
def folds(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of runs, each tested on every other image of the run's test set."""
    folder = tmp_path_factory.mktemp("folds")
    table = pq.read_table(runs / "none" / "predictions.parquet")
    for fold in (0, 1):
        copy = shutil.copytree(runs / "none", folder / f"fold={fold}")
        pq.write_table(table.take(np.arange(fold, len(table), 2)), copy / "predictions.parquet")
    return folder


def manifest_of(folder: Path, tmp_path: Path) -> Manifest:
    table = pq.read_table(folder / "predictions.parquet")
    columns = {name: table[name].to_pylist() for name in ("image_id", "file", "class", "group_id")}
    return Manifest.build(columns, tmp_path, tuple(COUNTS))


def test_each_image_has_the_prediction_of_its_own_fold(runs: Path, folds: Path, tmp_path: Path) -> None:
    whole = manifest_of(runs / "none", tmp_path)
    result, shares = out_of_fold([str(folds)], whole)
    assert result.column("image_id") == whole.column("image_id")
    table = pq.read_table(runs / "none" / "predictions.parquet")
    expected = dict(zip(table["image_id"].to_pylist(), table["p_islam"].to_pylist(), strict=True))
    place = whole.classes.index("islam")
    assert shares[:, place].tolist() == [expected[name] for name in result.column("image_id")]


def test_runs_that_are_not_folds_are_refused(runs: Path, folds: Path, tmp_path: Path) -> None:
    whole = manifest_of(runs / "none", tmp_path)
    with pytest.raises(DataError, match="another run was tested on"):
        out_of_fold([str(runs)], whole)
    with pytest.raises(DataError, match="that the data set does not have"):
        out_of_fold([str(folds)], whole.take(np.arange(3)))
    with pytest.raises(CheckpointError, match="no such folder"):
        out_of_fold([str(tmp_path / "nowhere")], whole)


def test_the_command_looks_for_label_errors_in_all_folds(
    heritage: Command, runs: Path, folds: Path, tmp_path: Path
) -> None:
    out, run = tmp_path / "out", shutil.copytree(runs / "none", tmp_path / "run")
    words = ("report.resamples=10", "audits.map=0", "audits.museum=false", "audits.background=false")
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={out}", f"report.out_of_fold={folds}", *words)
    assert done.code == 0, done.err
    table = pq.read_table(runs / "none" / "predictions.parquet").to_pydict()
    shares = np.array([table[f"p_{name}"] for name in COUNTS]).T
    targets = np.array([list(COUNTS).index(name) for name in table["class"]])
    expected = {table["file"][row] for row in find_label_errors(shares, targets).rows}
    lines = (out / "label_errors.csv").read_text().splitlines()[1:]
    assert {line.partition(",")[0] for line in lines} == expected
    assert json.loads((out / "metrics.json").read_text())["images"] == len(targets)
