"""Interrupted, repeated and concurrent builds: partially written files are never used."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import heritage.curation.inspection
from heritage.core.manifest import Manifest
from heritage.core.resizing import Resizing
from heritage.curation.inspection import Inspection, InspectionTask, inspect, write_atomically
from heritage.errors import ConfigError, DataError, DatasetNotFoundError
from tests.curation.conftest import Curate
from tests.curation.raw_folders import class_tree, photograph, write

TREE = "raw=class_folders"


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".curation" not in path.parts
    }


def count_inspections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def counting(task: InspectionTask, resizing: Resizing) -> Inspection:
        seen.append(Path(task.source).name)
        return inspect(task, resizing)

    monkeypatch.setattr("heritage.curation.inspection.inspect", counting)
    return seen


def test_two_processes_write_the_same_as_one(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    curate_folder(root, TREE, out=tmp_path / "one")
    curate_folder(root, TREE, "workers=2", out=tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_only_what_changed_is_inspected_again(
    tmp_path: Path, curate_folder: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = class_tree(tmp_path / "raw")
    curate_folder(root, TREE)
    before = contents(tmp_path / "out")
    seen = count_inspections(monkeypatch)
    curate_folder(root, TREE)
    assert seen == []
    assert contents(tmp_path / "out") == before
    write(root / "islam" / "islam003.jpg", photograph(99))
    min((tmp_path / "out" / "images").iterdir()).unlink()
    curate_folder(root, TREE)
    assert len(seen) == 2


def test_another_size_resizes_all_photographs_again(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    first = curate_folder(root, TREE).kept.fingerprint
    curate_folder(root, TREE, "resize.size=48")
    assert curate_folder(root, TREE).kept.fingerprint == first


def test_a_build_resumes_after_a_full_disk(
    tmp_path: Path, curate_folder: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = class_tree(tmp_path / "raw")
    room = 10

    def filling(target: Path, data: bytes) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_atomically(target, data)

    monkeypatch.setattr(heritage.curation.inspection, "write_atomically", filling)
    monkeypatch.setattr("heritage.curation.scan._CHUNK", 2)
    with pytest.raises(DataError, match=r"No space left on device.*free some space and start again"):
        curate_folder(root, TREE)
    with pytest.raises(DatasetNotFoundError):
        Manifest.read(tmp_path / "out")
    room = 1000
    seen = count_inspections(monkeypatch)
    assert len(curate_folder(root, TREE).kept) == 24
    assert len(seen) == 14


def test_a_failed_write_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:3])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="full"):
        write_atomically(tmp_path / "a.jpg", b"123456")
    assert list(tmp_path.iterdir()) == []


def test_a_second_build_of_a_folder_is_refused(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    curate_folder(root, TREE)
    with (tmp_path / "out" / ".curation" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="in use by another process"):
            curate_folder(root, TREE)


def test_photographs_of_a_damaged_record_are_inspected_again(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    before = curate_folder(root, TREE).kept.fingerprint
    record = next((tmp_path / "out" / ".curation" / "seen").rglob("*.parquet"))
    record.write_bytes(record.read_bytes()[:100])
    assert curate_folder(root, TREE).kept.fingerprint == before


@pytest.mark.slow
def test_a_killed_build_resumes(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw", each=300)
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "heritage.curate",
        TREE,
        f"raw.root={root}",
        f"out={out}",
        "resize.size=64",
    ]
    process = subprocess.Popen([*command, "workers=2", "name=test"], start_new_session=True)
    while len(list((out / "images").glob("*.jpg"))) < 50:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(process.pid)  # its workers have ended too
    with pytest.raises(DatasetNotFoundError):
        Manifest.read(out)
    subprocess.run([*command, "workers=2", "name=test"], check=True, capture_output=True)
    curate_folder(root, TREE, out=tmp_path / "whole")
    figures = {f"{name}.{kind}" for name in ("counts", "distributions") for kind in ("pdf", "png")}
    resumed = contents(out)  # `curate_folder` draws no figures
    assert {name: digest for name, digest in resumed.items() if name not in figures} == contents(
        tmp_path / "whole"
    )
    assert figures < resumed.keys()


def _alive(session: int) -> bool:
    found = subprocess.run(
        ["ps", "-s", str(session), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return bool(found.stdout.strip())
