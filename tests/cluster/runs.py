"""Runs that are long enough to be interrupted, and the comparison of two of them."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from hydra.types import HydraContext
from omegaconf import OmegaConf

from heritage.cluster.job import Job
from heritage.runs.files import FAILURE_FILE
from tests.conftest import TINY, write_tree

COUNTS = {"egyptian": 40, "grecoroman": 40, "orient": 40, "islam": 24, "byzantium": 12, "asian": 30}


def words(root: Path, outputs: Path, data: str = "class_folders") -> list[str]:
    """Return overrides of a run of some hundred steps that saves twice a second."""
    others = ("max_epochs", "batch_size", "data=")
    small = [word for word in TINY if not any(other in word for other in others)]
    # the demo set is drawn into a folder of its own
    place = f"paths.data={root}" if data == "demo" else f"data.root={root}"
    return [
        f"data={data}", *small, place, "data.batch_size=4", "trainer.max_epochs=4",
        "trainer.deterministic=true", "model=vit", "model.depth=2", "model.dropout=0.1",
        "callbacks.safeguard.every_minutes=0.01", "trainer.log_every_n_steps=5", f"paths.outputs={outputs}",
    ]  # fmt: skip


def write_set(folder: Path) -> Path:
    """Write the images that all runs use."""
    return write_tree(folder / "set", COUNTS)


def start(*given: str, cwd: Path, own_session: bool = False) -> subprocess.Popen[str]:
    """Start the command; read its output when it has ended."""
    return subprocess.Popen(
        [sys.executable, "-m", "heritage.train", *given],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=own_session,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def finish(process: subprocess.Popen[str], seconds: float = 560) -> str:
    """Wait for the command, kill it after a timeout, and fail if it failed."""
    try:
        out, _ = process.communicate(timeout=seconds)
    finally:
        end(process)
    assert process.returncode == 0, out
    return out


def end(process: subprocess.Popen[str]) -> None:
    """Kill the command and its children, so that they do not run beside the next tests."""
    if process.poll() is not None:
        return
    started = psutil.Process(process.pid)
    for one in (*started.children(recursive=True), started):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.communicate()


def run(*given: str, cwd: Path) -> str:
    """Run the command."""
    return finish(start(*given, cwd=cwd))


def wait_until(
    what: str, true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 240
) -> None:
    """Wait until a condition is true, while the command runs."""
    limit = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()[0]
        if time.monotonic() > limit:
            end(process)
            raise AssertionError(f"timeout while waiting for {what}")
        time.sleep(0.1)


def sweep_folder(outputs: Path) -> Path:
    """Return the only sweep's folder."""
    (folder,) = (outputs / "sweeps").iterdir()
    return folder


def job_ids(outputs: Path) -> dict[str, str]:
    """Return Slurm's id of each submitted job."""
    indices = list((outputs / "sweeps").glob("*/sweep.json")) if (outputs / "sweeps").is_dir() else []
    rows = json.loads(indices[0].read_text())["jobs"] if indices else []
    return {row["name"]: row["job_id"] for row in rows if row["job_id"]}


def last(folder: Path) -> Path:
    """Return the last checkpoint of a run."""
    return folder / "checkpoints" / "last.ckpt"


def assert_same(one: Path, other: Path) -> None:
    """Check that two runs have the same weights and logged steps."""
    states = [torch.load(last(folder), weights_only=True)["state_dict"] for folder in (one, other)]
    assert states[0].keys() == states[1].keys()
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []
    assert _logged(one) == _logged(other)


def step(folder: Path) -> int:
    """Return the step of a run's last checkpoint."""
    return int(torch.load(last(folder), weights_only=True)["global_step"])


def _logged(folder: Path) -> list[str]:
    with (folder / "logs" / "metrics.csv").open() as file:
        return [row["step"] for row in csv.DictReader(file)]


class StuckJob(Job):
    """A job whose second rank fails at the start, while the first waits for it."""

    def run(self) -> None:
        """Fail, or wait for five minutes."""
        if int(os.environ.get("SLURM_PROCID", os.environ.get("SUBMITIT_LOCAL_GLOBALID", "0"))):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / FAILURE_FILE).write_text("the second rank failed\n")
        else:
            time.sleep(300)


def stuck_job(folder: Path) -> Job:
    """Return a job with a rank that fails."""
    config = {
        "trainer": {"devices": 2, "num_nodes": 1, "accelerator": "cpu"},
        "callbacks": {"safeguard": {"folder": ""}},
    }
    context: HydraContext = None  # type: ignore[assignment]  # nothing is composed
    return StuckJob(0, folder.name, folder, (), OmegaConf.create(config), context)
