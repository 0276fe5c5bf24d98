"""Two processes on the CPU through the plain command: every image counted once, one report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from heritage.runs.history import read_history
from tests.conftest import COUNTS, TINY


@pytest.mark.slow
def test_two_processes_train_and_one_reports(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [word for word in TINY if "max_epochs" not in word]
    words += [f"data.root={tree}", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
              "trainer.max_epochs=2", "balance=oversample", f"hydra.run.dir={folder}"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "heritage", "train", *words], cwd=tmp_path, capture_output=True, text=True,
        timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1
    assert "sync_dist" not in done.stderr
    data = json.loads((folder / "data.json").read_text())
    shown = sum(data["counts"]["shown"].values())
    assert shown == 6 * max(data["counts"]["train"].values())
    seen = int((folder / "report.md").read_text().split(" images seen")[0].split()[-1].replace(",", ""))
    assert seen == 2 * shown, "each image as often as the sampling specifies, over both ranks"
    assert pq.read_table(folder / "predictions.parquet").num_rows == sum(data["counts"]["test"].values())
    assert sum(sum(data["counts"][split].values()) for split in ("train", "val", "test")) == sum(
        COUNTS.values()
    )
    assert len(read_history(folder)) == 2
