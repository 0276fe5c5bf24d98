"""Locks between processes."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from heritage.core.locks import FileLock, locked, locked_output
from heritage.errors import BusyError


def test_a_lock_has_one_holder_who_is_named(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lock"
    reason = rf"new: in use by another process \(process {os.getpid()} on"
    with locked(file), pytest.raises(BusyError, match=reason):
        FileLock(file)
    FileLock(file).release()


def test_a_lock_ends_with_its_process_also_if_a_forked_worker_goes_on(tmp_path: Path) -> None:
    held, answer = os.pipe()
    parent = os.fork()
    if not parent:
        lock = FileLock(tmp_path / "lock")
        child = os.fork()  # as a data loader forks its workers
        if not child:
            os.read(held, 1)
            os._exit(0)
        os._exit(0 if lock.file.is_file() else 1)  # without releasing the lock
    assert os.waitpid(parent, 0)[1] == 0
    FileLock(tmp_path / "lock").release()
    os.write(answer, b".")


def test_a_waiting_process_gets_the_lock_of_a_file_that_was_removed(tmp_path: Path) -> None:
    out, order = tmp_path / "table.csv", []

    def second() -> None:
        with locked(tmp_path / ".table.csv.lock", patience=60):
            order.append("second")
            assert (tmp_path / ".table.csv.lock").is_file()
            with pytest.raises(BusyError, match=r"table\.csv: in use by another process"), locked_output(out):
                pass

    with locked_output(out):
        thread = threading.Thread(target=second)
        thread.start()
        with pytest.raises(BusyError, match="choose another out="), locked_output(out):
            pass
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    (tmp_path / ".table.csv.lock").unlink()
    with locked_output(out):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_requeued_job_takes_over_the_lock_of_its_earlier_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lock"
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with locked(file):  # on a node that failed, before the file server has noticed
        with pytest.raises(BusyError, match="Slurm job 77, start 0"):
            FileLock(file)
        monkeypatch.setenv("SLURM_JOB_ID", "78")
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        with pytest.raises(BusyError):
            FileLock(file)
        monkeypatch.setenv("SLURM_JOB_ID", "77")
        FileLock(file).release()


def test_a_file_system_without_locks_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    FileLock(tmp_path / "lock").release()
    assert "this file system has no locks" in caplog.text
