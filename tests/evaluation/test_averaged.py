"""Several networks evaluated as one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from heritage.errors import CheckpointError
from heritage.inference.ensemble import calibration_variant, load_members
from heritage.runs.calibration import read_calibration
from tests.conftest import COUNTS, Command

QUICK = ("report.resamples=20", "report.slices=[]")
CLASSES = tuple(COUNTS)


@pytest.fixture(scope="module")
def pair(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two runs of one data set and split; the second has another order of its classes."""
    folder = tmp_path_factory.mktemp("pair")
    first = shutil.copytree(runs / "none", folder / "first")
    second = shutil.copytree(runs / "weights", folder / "second")
    reorder(second / "checkpoints" / "best.ckpt")
    return first, second


def reorder(file: Path) -> None:
    """Reverse the class list of a checkpoint, with its classifier and fingerprint."""
    from heritage.core.manifest import Manifest
    from heritage.inference.checkpoint import load_checkpoint
    from heritage.inference.test_set import run_manifest

    manifest: Manifest = run_manifest(load_checkpoint(file))
    state = torch.load(file, weights_only=True)
    record = state["heritage"]
    record["classes"] = list(record["classes"])[::-1]
    record["fingerprint"] = dataclasses.replace(manifest, classes=tuple(record["classes"])).fingerprint
    for name, value in state["state_dict"].items():
        if value.ndim and value.shape[0] == len(CLASSES) and ".fc." in name:
            state["state_dict"][name] = value.flip(0)
    torch.save(state, file)


def table(out: Path) -> dict[str, np.ndarray]:
    columns = pq.read_table(out / "predictions.parquet").to_pydict()
    files = np.array(columns["file"])
    order = np.argsort(files)
    return {
        "file": files[order],
        "p": np.array([columns[f"p_{name}"] for name in CLASSES]).T[order],
    }


def test_probabilities_are_averaged_and_calibrated_together(
    heritage: Command, pair: tuple[Path, Path], runs: Path, tmp_path: Path
) -> None:
    first, second = pair
    for number, ckpt in enumerate((str(first), str(runs / "weights"), f"[{first},{second}]")):
        done = heritage("evaluate", f"ckpt={ckpt}", f"hydra.run.dir={tmp_path / str(number)}", *QUICK,
                        *(["audits=null"] if number < 2 else []))  # fmt: skip
        assert done.code == 0, done.err
    one, two, both = (table(tmp_path / str(number)) for number in range(3))
    assert (one["file"] == two["file"]).all()
    assert (one["file"] == both["file"]).all()
    np.testing.assert_allclose(both["p"], (one["p"] + two["p"]) / 2, atol=1e-5)
    metrics = json.loads((tmp_path / "2" / "metrics.json").read_text())
    assert metrics["averaged"] == [str(one / "checkpoints" / "best.ckpt") for one in pair]
    assert any("mean of 2 networks. Audits are of single networks" in note for note in metrics["notes"])
    assert metrics["audits"] == {}
    assert {"average=2", "of [none, weights]"} <= set(metrics["recipe"]["others"])
    members = load_members([first, second])
    variant = calibration_variant(members)
    assert variant == calibration_variant(load_members([second, first])), "the order matters"
    fitted = read_calibration(first, variant)
    assert fitted is not None
    assert fitted != read_calibration(first)
    done = heritage(
        "evaluate", f"ckpt=[{second},{first}]", "report.target_precision=0.5", "audits=null", *QUICK
    )
    assert done.code == 0, done.err
    again = read_calibration(first, variant)
    assert again is not None
    assert again.target_precision == 0.5
    assert read_calibration(second, variant) is None, "a second calibration of the same networks"


def test_folds_are_not_evaluated_on_their_own_training_images(
    heritage: Command, pair: tuple[Path, Path], tmp_path: Path, tree: Path
) -> None:
    other = shutil.copytree(pair[0], tmp_path / "fold")
    file = other / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    state["heritage"]["fingerprint"] = "0" * 64
    torch.save(state, file)
    done = heritage("evaluate", f"ckpt=[{pair[0]},{other}]", *QUICK, "audits=null")
    assert done.code == 2
    assert "test images of one may be training images of another" in done.err
    new = ("data=class_folders", f"data.root={tree}", "data.num_workers=0", "split=all")
    done = heritage("evaluate", f"ckpt=[{pair[0]},{other}]", *new, *QUICK, "audits=null",
                    f"hydra.run.dir={tmp_path / 'out'}")  # fmt: skip
    assert done.code == 0, done.err
    assert "No calibration" in done.out


def test_lists_that_are_none_are_refused(heritage: Command, pair: tuple[Path, Path], tmp_path: Path) -> None:
    for ckpt, message in (
        ("[]", "an empty list"),
        (f"[{pair[0]},{pair[0]}]", "the same checkpoint twice"),
        (f"[{pair[0]},{tmp_path / 'gone'}]", "no such checkpoint"),
    ):
        done = heritage("evaluate", f"ckpt={ckpt}", *QUICK)
        assert done.code == 2, ckpt
        assert message in done.err
    other = shutil.copytree(pair[0], tmp_path / "other")
    file = other / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    state["heritage"]["classes"] = [*CLASSES[:-1], "maya"]
    torch.save(state, file)
    with pytest.raises(CheckpointError, match="asian, maya only in one of them"):
        load_members([pair[0], other])
