"""Ctrl-C and SIGTERM: one line while modules load, one exception later, none in workers."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heritage.core import early_signals
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


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("python -m heritage.train -m model=a,b", "heritage train"),
        ("python -X utf8 -I -m heritage predict input=x", "heritage predict"),
        ("/venv/bin/python /venv/bin/heritage train -m seed=1,2", "heritage train"),
        ("python -m heritage", "heritage"),
        ("python -m pytest -m heritage.train", None),
        ("python -c 'import heritage' heritage", None),
        ("python train.py heritage", None),
        ("python", None),
    ],
)
def test_a_process_is_a_command_by_its_arguments(arguments: str, name: str | None) -> None:
    assert early_signals.command_name(shlex.split(arguments)) == name


@pytest.mark.parametrize(
    ("ended", "line"),
    [
        ("", "heritage predict: stopped by Ctrl-C while starting; run the same command again\n"),
        ("early_signals.command_ended()\n", "heritage predict: stopped by Ctrl-C while ending\n"),
    ],
)
def test_a_signal_before_and_after_the_command_is_one_line(tmp_path: Path, ended: str, line: str) -> None:
    script = tmp_path / "heritage"
    script.write_text(f"from heritage.core import early_signals\n{ended}{_SLOW.format(name='SIGINT')}")
    words = [sys.executable, str(script), "predict", "input=x"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == (line, 130)


def test_a_signal_during_an_import_waits_once_the_command_writes(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        _SLOW.format(name="SIGINT").replace("20", "0.2") + "print('imported')\n"
    )
    (tmp_path / "main.py").write_text(
        "import time\nfrom heritage.core.signals import stopped_in_one_line, work_begins\n"
        "try:\n    with stopped_in_one_line('heritage train'):\n        work_begins()\n        import slow\n"
        "        time.sleep(20)\n"
        "except KeyboardInterrupt:\n    print('cleaned up')\n"
    )
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=15
    )
    assert (done.stdout, done.stderr) == ("imported\ncleaned up\n", "")


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
