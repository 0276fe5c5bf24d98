"""`heritage embed`: a store that other commands read, that shards fill and that survives a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import heritage as package
from heritage.core.locks import FileLock
from heritage.features import compute
from heritage.features.store import read_store
from tests.conftest import Command


@pytest.fixture
def network(tree: Path) -> list[str]:
    """Return the words that choose a small network and its data set."""
    return [
        "model=resnet10t", "model.weights=none", "data=class_folders", f"data.root={tree}",
        "data.image_size=32", "data.num_workers=0", "device=cpu", "precision=32-true",
    ]  # fmt: skip


def store_in(folder: Path) -> Path:
    (found,) = (path.parent for path in folder.rglob("store.json"))
    return found


def test_a_store_of_any_network(heritage: Command, network: list[str], tmp_path: Path) -> None:
    done = heritage("embed", *network, f"paths.outputs={tmp_path}")
    folder = store_in(tmp_path / "features")
    assert f"features: {folder}\n80 × 512 float32: 0.2 MB when it is complete" in done.out
    assert "80 images computed in " in done.out
    assert "complete" in done.out
    assert folder.name.startswith("photographs_resnet10t_32_")
    store = package.open_features(folder)
    assert store.features.shape == (80, 512)
    assert np.isfinite(store.features).all()
    assert store.table["file"][0].as_py() == "asian/000.jpg"


def test_a_runs_features_are_computed_once(
    heritage: Command, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run, ignore=shutil.ignore_patterns("features"))
    first = heritage("embed", f"ckpt={run}", f"paths.outputs={tmp_path}", "device=cpu")
    folder = store_in(run / "features")
    assert "80 images computed" in first.out
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    def refuse(*_: object, **__: object) -> int:
        raise AssertionError("the features are there already")

    monkeypatch.setattr(compute.ImageFeatures, "_run", refuse)
    words = (f"ckpt={run}", f"paths.outputs={tmp_path}", "device=cpu", "data.num_workers=0")
    evaluated = heritage(
        "evaluate", *words, "audits.background=false", "audits.map=20", "report.resamples=20"
    )
    assert evaluated.code == 0, evaluated.err
    assert f"features: {folder} (80 × 512 float32, " in evaluated.out
    explained = heritage(
        "explain", *words, "explain.images_per_class=1", "explain.images_per_pair=0", "explain.neighbours=2",
        "explain.faithfulness_images=1",
    )  # fmt: skip
    assert explained.code == 0, explained.err
    assert f"features: {folder}" in explained.out
    again = heritage("embed", f"ckpt={run}", f"paths.outputs={tmp_path}", "device=cpu")
    assert "0 images computed; complete" in again.out
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_run_embeds_images_of_any_classes(
    heritage: Command, run_folder: Path, tree: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree / "islam", tmp_path / "photographs" / "beads")
    (tmp_path / "photographs" / "beads" / "004.jpg").write_bytes(b"no image")
    words = ["data=class_folders", f"data.root={tmp_path / 'photographs'}", "data.num_workers=0", "tta=flip"]
    done = heritage("embed", f"ckpt={run_folder}", *words, "dtype=float16", f"out={tmp_path / 'store'}")
    assert "Note: 1 image cannot be read: beads/004.jpg" in done.out
    store = package.open_features(tmp_path / "store")
    assert store.features.dtype == np.float16
    assert np.isnan(store.features).all(axis=1).tolist() == [name == "beads/004.jpg" for name in store.files]
    refused = heritage("embed", f"ckpt={run_folder}", *words, f"out={tmp_path / 'store'}")
    assert refused.code == 2
    assert "a store of other features (dtype float16 instead of float32); remove it" in refused.err


def test_shards(heritage: Command, run_folder: Path, tmp_path: Path) -> None:
    words = [f"ckpt={run_folder}", f"out={tmp_path / 'store'}", "device=cpu", "data.num_workers=0"]
    first = heritage("embed", *words, "shard=2/2")
    assert "shard 2 of 2: 40 images computed" in first.out
    assert "40 images of 80 are still missing" in first.out
    with pytest.raises(package.HeritageError, match="40 images of 80 are missing"):
        package.open_features(tmp_path / "store")
    lock = FileLock(tmp_path / "store" / ".shard-1-of-2.lock")
    busy = heritage("embed", *words, "shard=1/2")
    lock.release(remove=True)
    assert busy.code == 2
    assert "in use by another process" in busy.err
    assert "complete" in heritage("embed", *words, "shard=1/2").out
    assert len(package.open_features(tmp_path / "store").features) == 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shard=5/4"], "shard=5/4: no such shard; they are numbered from 1/4 to 4/4"),
        (["shard=0/4"], "shard=0/4: no such shard"),
        (["shard=1/0"], "shard=1/0: not a number of shards"),
        (["shard=-1/4"], "not a number and a count; write shard=3/16"),
        (["shard=3"], "not a number and a count"),
        (["ckpt=x"], "both of ckpt and model is given"),
        (["tta=rotate"], "tta=rotate"),
        (["dtype=int8"], "dtype=int8"),
        (["precision=64"], "precision=64"),
        (["model=timm", "model.name=resnet10t.c3_in1k"], None),
    ],
)
def test_wrong_options(
    heritage: Command, network: list[str], words: list[str], message: str | None, tmp_path: Path
) -> None:
    done = heritage("embed", *network, f"paths.outputs={tmp_path}", *words)
    assert done.code == (0 if message is None else 2)
    assert message is None or message in done.err
    assert len(done.err.splitlines()) == (0 if message is None else 1)


def test_a_network_and_a_data_set_are_needed(heritage: Command, network: list[str]) -> None:
    neither = heritage("embed", *network[2:4]).err
    assert neither.startswith("heritage embed: neither of ckpt and model is given; ")
    assert heritage("embed", *network[:3]).err == (
        "heritage embed: data.root=null: cannot be null; give a value\n"
    )
    assert "data: no data set; give data=folder" in heritage("embed", *network[:2]).err
    assert "no such" in heritage("embed", "ckpt=nowhere").err


KILLED = """
import sys
from heritage.features import compute
from heritage.features.store import read_store
compute.PART_SECONDS = 0.0
from heritage.models import normalize
import time
forward = normalize.Normalize.forward
def slow(self, images):
    time.sleep(0.05)
    return forward(self, images)
normalize.Normalize.forward = slow
from heritage.__main__ import main
sys.argv = ["heritage", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_what_was_computed_before_a_kill_is_kept(heritage: Command, run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    words = [
        "embed",
        f"ckpt={run_folder}",
        f"out={out}",
        "data.batch_size=4",
        "data.num_workers=0",
        "device=cpu",
    ]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *words], cwd=tmp_path)
    until = time.monotonic() + 120
    while len(list(out.glob("parts/[0-9]*"))) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = read_store(out).count
    assert 12 <= kept < 80
    done = heritage(*words)
    assert f"{80 - kept} images computed" in done.out
    assert not list((out / "parts").glob("[0-9]*"))
    record = json.loads((out / "store.json").read_text())
    assert (record["rows"], record["format"]) == (80, 1)
