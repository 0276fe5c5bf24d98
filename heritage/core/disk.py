"""Recognise a full disk in what libraries raise, and name the file that could not be written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from heritage.errors import DiskFullError, HeritageError

FULL = (errno.ENOSPC, errno.EDQUOT)
_TEXTS = (
    (re.compile(r"Disk quota exceeded|os error 122"), errno.EDQUOT),
    # torch's writer and SQLite give no number of the system
    (
        re.compile(r"No space left|os error 28|file write failed|unexpected pos \d+ vs|disk is full"),
        errno.ENOSPC,
    ),
)


def full_disk(fault: BaseException | None) -> OSError | None:
    """Return the error of a full disk or quota that an exception is, or was caused by; None for others."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        if isinstance(fault, OSError):
            if fault.errno in FULL:
                return fault
        elif not isinstance(fault, HeritageError):
            for text, number in _TEXTS:
                if text.search(str(fault)):
                    return OSError(number, os.strerror(number))
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return None


@contextlib.contextmanager
def full_disk_as_os_error(target: str | os.PathLike[str]) -> Iterator[None]:
    """Raise an OSError with a file name for a full disk, whatever the library in the block raises for it.

    Args:
        target: The file or folder that is written; named if the error names none.

    Raises:
        OSError: The disk is full, or the quota is used up.
    """
    try:
        yield
    except BaseException as fault:
        # Each library has an error class of its own; other faults are raised again.
        known = isinstance(fault, HeritageError) or not isinstance(fault, Exception)
        error = None if known else full_disk(fault)
        if error is None:
            raise
        error.filename = error.filename or os.fspath(target)
        if error is fault:
            raise
        raise error from fault


@contextlib.contextmanager
def full_disk_as_heritage_error(target: str | os.PathLike[str]) -> Iterator[None]:
    """Raise a DiskFullError for a full disk, whatever the block raises for it.

    Args:
        target: The file or folder that is written; named if the error names none.

    Raises:
        DiskFullError: The disk is full, or the quota is used up.
    """
    try:
        with full_disk_as_os_error(target):
            yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise disk_full_error(error) from error


def disk_full_error(error: OSError) -> DiskFullError:
    """Return the error of a full disk with the file and a remedy."""
    return DiskFullError(
        "the disk quota is used up" if error.errno == errno.EDQUOT else "the disk is full",
        where=os.fsdecode(error.filename or "."),
        remedy="free some space and run the same command again: finished work is kept",
    )
