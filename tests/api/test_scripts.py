"""A script of one's own, without a guard: it runs once, however many processes a command starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY

HEAD = """
import multiprocessing
import heritage
print("script starts", flush=True)
"""
CURATE = """
heritage.run("curate", raw="class_folders", raw__root={tree!r}, out="out", cleaning__min_side=1, workers=2)
"""
TRAIN = """
multiprocessing.set_start_method("spawn")
heritage.run("train", *{words!r}, "trainer.fast_dev_run=true", data__root={tree!r}, data__num_workers=1)
"""
TWO_RANKS = """
two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
result = heritage.run("train", *{words!r}, *two, data__root={tree!r}, hydra__run__dir="run")
print("metrics", result.metrics["accuracy"], heritage.load(result.folder))
"""


@pytest.mark.slow
@pytest.mark.parametrize("body", [CURATE, TRAIN, TWO_RANKS], ids=["curate", "spawned loaders", "two ranks"])
def test_a_script_without_a_guard_runs_once(body: str, tree: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(HEAD + body.format(tree=str(tree), words=list(TINY)))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("script starts") == 1
    assert "bootstrapping" not in done.stderr
    if body is TWO_RANKS:
        assert "metrics 0." in done.stdout or "metrics 1." in done.stdout
        assert {path.name for path in tmp_path.iterdir()} >= {"run", "script.py"}
        assert not (tmp_path / "outputs" / "train").exists(), "the other rank has no folder of its own"
