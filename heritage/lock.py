"""One process at a time, by a lock that the system lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from heritage.errors import BusyError, ConfigError


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Args:
        file: The lock file; its folder is made.
        wait: Wait for whoever holds it, instead of giving up.

    Raises:
        ConfigError: The folder cannot be written.
        BusyError: Another process holds the lock.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = file.open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot be written ({error.strerror})", where=file.parent, remedy="choose a folder of your own"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            handle.seek(0)
            raise BusyError(
                f"another process is at work here ({handle.read().strip() or 'unknown'})",
                where=file.parent,
                remedy="wait for it, or stop it with Ctrl-C",
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
                raise
            # A file system without locks: better to work than to refuse.
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {platform.node()}\n")
        handle.flush()
        yield
