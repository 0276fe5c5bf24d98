"""Locks between processes: one mechanism for every folder or file that only one process may write.

A lock is an `flock` of a lock file. The kernel releases it when its process ends, however it ends, so no lock
is ever left behind. On NFS the server releases the lock of a node that has failed only after its lease has
expired (about 90 seconds); a job that Slurm requeues takes over the lock of its earlier start at once.
A file system without locks gives a warning, and the processes work without them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from heritage.core.signals import work_begins
from heritage.errors import BusyError, ConfigError

log = logging.getLogger(__name__)

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_SLURM_START = re.compile(r"Slurm job (\S+), start (\d+)")
_INTERVAL = 0.1  # seconds between two attempts
_open: set[TextIO] = set()


class FileLock:
    """A lock file that this process holds until `release`.

    Args:
        file: The lock file; its folder is created.
        patience: Seconds to wait until the lock is free, before raising.

    Raises:
        ConfigError: The folder cannot be written.
        BusyError: Another process, or another lock of this one, holds it.
    """

    def __init__(self, file: Path, *, patience: float = 0.0) -> None:
        self.file = file
        limit = time.monotonic() + patience
        handle = _opened(file)
        try:
            while not _is_at(handle, file) or not _lock(handle, file, limit):
                handle.close()  # another process holds it, or has removed it meanwhile
                handle = _opened(file)
        except BaseException:  # also Ctrl-C during the wait: an open handle would keep the lock; raised again
            handle.close()
            raise
        self._handle = handle
        _open.add(handle)
        handle.truncate(0)
        handle.write(f"{_holder()}\n")
        handle.flush()

    def release(self, *, remove: bool = False) -> None:
        """Release the lock.

        Args:
            remove: Also remove the file, before others can lock it.
        """
        if remove:
            self.file.unlink(missing_ok=True)
        _open.discard(self._handle)
        self._handle.close()


@contextlib.contextmanager
def locked(file: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Args:
        file: The lock file; its folder is created.
        patience: Seconds to wait until the lock is free, before raising.

    Raises:
        ConfigError: The folder cannot be written.
        BusyError: Another process holds the lock.
    """
    lock = FileLock(file, patience=patience)
    work_begins()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def locked_output(out: Path) -> Iterator[None]:
    """Hold the lock of a file or folder that a command writes: a file beside it, removed at the end.

    Args:
        out: The file or folder; it need not exist.

    Raises:
        ConfigError: Its folder cannot be written.
        BusyError: Another process is writing it.
    """
    try:
        lock = FileLock(out.with_name(f".{out.name}.lock"))
    except BusyError as error:
        raise BusyError(error.what, where=out, remedy="wait for it, or choose another out=…") from error
    work_begins()
    try:
        yield
    finally:
        lock.release(remove=True)


def _opened(file: Path) -> TextIO:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot be written ({error.strerror})", where=file.parent, remedy="choose a folder of your own"
        ) from error


def _lock(handle: TextIO, file: Path, limit: float) -> bool:
    """Lock an open file before a time limit; return whether it is still the file of this name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        if _is_earlier_start(holder):
            log.warning("%s: taking over the lock of the job's earlier start (%s)", file.parent, holder)
            return True
        if time.monotonic() < limit:
            time.sleep(_INTERVAL)
            return False
        raise BusyError(
            f"in use by another process ({holder})",
            where=file.parent,
            remedy="wait for it, or stop it with Ctrl-C",
        ) from error
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        log.warning("%s: this file system has no locks; do not start two commands on one folder", file.parent)
    return _is_at(handle, file)


def _is_at(handle: TextIO, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _holder() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    slurm = f", Slurm job {job}, start {_slurm_start()}" if job else ""
    return f"process {os.getpid()} on {platform.node()}{slurm}"


def _slurm_start() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _is_earlier_start(holder: str) -> bool:
    """Return whether a holder is an earlier start of this Slurm job: Slurm runs a job only once at a time."""
    match = _SLURM_START.search(holder)
    return match is not None and match[1] == os.environ.get("SLURM_JOB_ID") and int(match[2]) < _slurm_start()


def _close_in_child() -> None:
    # A forked worker that outlives a killed parent would hold its locks.
    for handle in _open:
        handle.close()
    _open.clear()


os.register_at_fork(after_in_child=_close_in_child)
