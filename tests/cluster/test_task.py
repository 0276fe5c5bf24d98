"""A job holds the batch system's signals until it can handle them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from heritage.cluster.task import interpreter_command
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
