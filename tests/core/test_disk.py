"""A full disk, as the libraries that write files report it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
from safetensors import SafetensorError

from heritage.core.disk import full_disk_as_heritage_error, full_disk_as_os_error
from heritage.core.files import atomic_path
from heritage.errors import DiskFullError, TrainingError

REPORTS = [
    (OSError(errno.ENOSPC, "No space left on device"), errno.ENOSPC),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), errno.EDQUOT),
    (
        SafetensorError("I/O error: No space left on device (os error 28)"),
        errno.ENOSPC,
    ),
    (SafetensorError("I/O error: Disk quota exceeded (os error 122)"), errno.EDQUOT),
    (RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 576 vs 534"), errno.ENOSPC),
    (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), errno.ENOSPC),
    (sqlite3.OperationalError("database or disk is full"), errno.ENOSPC),
]


@pytest.mark.parametrize(("fault", "number"), REPORTS, ids=lambda value: str(value)[-30:])
def test_a_full_disk_names_the_file_and_leaves_no_partial_one(
    tmp_path: Path, fault: Exception, number: int
) -> None:
    target = tmp_path / "a" / "model.bin"

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"123")
            raise fault

    with pytest.raises(OSError, match=r"model\.bin") as caught:
        write()
    assert (caught.value.errno, caught.value.filename) == (number, str(target))
    assert list(target.parent.iterdir()) == []
    line = r"model\.bin: the disk .*; free some space and run the same"
    with pytest.raises(DiskFullError, match=line), full_disk_as_heritage_error(tmp_path):
        write()


@pytest.mark.parametrize(
    "fault",
    [OSError(errno.EACCES, "Permission denied"), RuntimeError("CUDA error"), KeyboardInterrupt(),
     TrainingError("no space left", where="a", remedy="b")],
)  # fmt: skip
def test_other_errors_are_left_as_they_are(tmp_path: Path, fault: BaseException) -> None:
    with pytest.raises(type(fault)) as caught, full_disk_as_os_error(tmp_path):
        raise fault
    assert caught.value is fault


def test_an_error_that_a_full_disk_caused_is_one() -> None:
    with pytest.raises(OSError, match="out/export"), full_disk_as_os_error("out/export"):
        raise RuntimeError("cannot save") from SafetensorError("No space left on device (os error 28)")
