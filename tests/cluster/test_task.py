"""A job holds the batch system's signals until it can handle them, and waits for its folder."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from hydra.types import HydraContext
from omegaconf import OmegaConf

from heritage.cluster.job import Job
from heritage.cluster.task import interpreter_command
from heritage.core.locks import FileLock
from heritage.errors import BusyError
from heritage.runs.files import LOCK_FILE
from heritage.training.callbacks.safeguard import BATCH_SIGNAL

_JOB = """
import os, signal, sys
number = int(sys.argv[1])
os.kill(os.getpid(), number)   # as a batch system does while the job is importing
assert signal.sigpending() == {number}
signal.signal(number, lambda *_: print("handled"))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
print("flags", sys.flags.isolated, sys.flags.no_site)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, BATCH_SIGNAL])
def test_a_signal_during_imports_is_handled_later(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "a job.py"
    script.write_text(_JOB)
    command = f"{interpreter_command()} -u {shlex.quote(str(script))} {int(number)}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "handled\nflags 0 0\n"


def test_only_the_batch_system_s_signals_are_held(tmp_path: Path) -> None:
    command = f'{interpreter_command()} -c "import os, signal; os.kill(os.getpid(), signal.SIGINT)"'
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PYTHONPATH": ""},
    )  # fmt: skip
    assert "KeyboardInterrupt" in done.stderr


def test_a_slurm_job_waits_for_a_command_that_holds_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "_run", lambda job: (job.folder / "ran").touch())
    context: HydraContext = None  # type: ignore[assignment]  # nothing is composed
    job = Job(0, "job", tmp_path / "job", (), OmegaConf.create(), context)
    lock = FileLock(job.folder / LOCK_FILE)
    with pytest.raises(BusyError):
        job.run()
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    threading.Timer(0.3, lock.release).start()
    job.run()
    assert (job.folder / "ran").exists()
