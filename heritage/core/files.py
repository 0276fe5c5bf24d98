"""The folder of configuration files, atomic writing, and lock files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

from heritage.errors import BusyError, ConfigError

PACKAGE = Path(__file__).resolve().parent.parent

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""The beginning of the file that Git leaves in place of a large one that was not downloaded."""


def config_dir() -> Path:
    """Return the folder of configuration files.

    It is inside the package of an installed wheel, and beside it in a checkout.

    Raises:
        ConfigError: It is in neither place: the installation is damaged.
    """
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(
        "the configuration files are missing", where=PACKAGE, remedy="install the package again"
    )


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``target`` when the block succeeds.

    The data are synced before the rename, so after a crash there is either the complete old file or the
    complete new one. An exception in the block removes the temporary file and leaves the old one unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8; bytes of file names that are no UTF-8 are escaped."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _umask() -> int:
    # mkstemp makes files private; the mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Args:
        file: The lock file; its folder is created.
        wait: Wait until the lock is free instead of raising.

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
                f"in use by another process ({handle.read().strip() or 'unknown'})",
                where=file.parent,
                remedy="wait for it, or stop it with Ctrl-C",
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
                raise
            # A file system without locks: work without one.
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {platform.node()}\n")
        handle.flush()
        yield
