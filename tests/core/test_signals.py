"""Ctrl-C and SIGTERM: one line while modules load, one exception later, none in workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heritage.core.processes import map_in_processes
from heritage.core.signals import Terminated, stopped_in_one_line
from heritage.core.taxonomy import CLASSES
from heritage.data.readers import class_folders
from tests.core.signal_senders import strike, struck
from tests.data.test_loader import loader

_SLOW = "import os, signal, time\nos.kill(os.getpid(), signal.{name})\ntime.sleep(20)\n"
_MAIN = (
    "from heritage.core.signals import stopped_in_one_line\n"
    "with stopped_in_one_line('heritage train'):\n    import slow\n"
)


@pytest.mark.parametrize(("name", "reason", "code"), [("SIGINT", "Ctrl-C", 130), ("SIGTERM", "SIGTERM", 143)])
def test_a_signal_while_modules_load_ends_in_one_line(
    tmp_path: Path, name: str, reason: str, code: int
) -> None:
    (tmp_path / "slow.py").write_text(_SLOW.format(name=name))
    done = subprocess.run(
        [sys.executable, "-c", _MAIN], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == f"heritage train: stopped by {reason} while starting; run the same command again\n"
    assert done.returncode == code


def test_a_signal_sent_to_process_and_group_raises_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_in_one_line("heritage train"):
        with pytest.raises(Terminated, match="stopped by SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(KeyboardInterrupt), stopped_in_one_line("heritage train"):
        os.kill(os.getpid(), signal.SIGINT)


def test_signals_to_the_group_do_not_stop_data_workers(tree: Path) -> None:
    batches = loader(class_folders(tree, CLASSES), workers=2, batch_size=8)
    before = {child.pid for child in multiprocessing.active_children()}
    loaded = iter(batches)
    rows = next(loaded).rows.tolist()
    workers = [child for child in multiprocessing.active_children() if child.pid not in before]
    assert len(workers) == 2
    for worker in workers:
        assert worker.pid is not None
        strike(worker.pid, "TERM", "INT", "USR2")
    rows += [row for batch in loaded for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(len(batches.plan.targets)))
    for worker in workers:
        worker.terminate()  # by the parent
        worker.join(10)
        assert worker.exitcode == 0


def test_signals_to_the_group_do_not_stop_a_pool() -> None:
    assert sorted(map_in_processes(struck, range(5), 2)) == list(range(5))
