"""One collector a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from heritage.errors import CollectionError

LOCK_FILE = ".collect.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder while the block runs; the system lets go of it if the process dies.

    Raises:
        CollectionError: The folder cannot be written, or another collector holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise CollectionError(
            f"cannot be written ({error.strerror})",
            where=folder,
            remedy="set folder=… to a place of your own",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CollectionError(
                f"another collector is at work here ({file.read().strip() or 'unknown process'})",
                where=folder,
                remedy="wait for it, stop it with Ctrl-C, or collect into another folder (name=…)",
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield
