"""Misclassified images as files: names, lists, credits, and what is never overwritten."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from heritage.core.csv_files import is_inert, read_records
from heritage.core.manifest import Manifest
from heritage.errors import DataError
from heritage.evaluation.assessment import Assessment, EvaluationOptions
from heritage.evaluation.mistakes import write_mistakes

CLASSES = ("Greek / Roman", "=1+1", "CON")
FILES = ("a/1.jpg", "b/1.jpg", "b/2.JPG", "c/nul.png", "c/right.jpg", "c/gone.jpg")
PREDICTED = (1, 1, 0, 0, 2, 1)


def assessment(root: Path, predicted: tuple[int, ...] = PREDICTED) -> Assessment:
    """Return predictions of six images, of which five are wrong and one cannot be read."""
    for number, file in enumerate(FILES):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image %d" % number)
    (root / FILES[-1]).unlink()
    targets = [0, 0, 1, 2, 2, 2]
    columns = {
        "file": list(FILES),
        "class": [CLASSES[target] for target in targets],
        "split": ["test"] * len(FILES),
        "group_id": [f"g{number}" for number in range(len(FILES))],
        "title": ["=cmd", *["Vase"] * 5],
        "credit": ["Gift of Ada"] * len(FILES),
        "licence": ["CC-BY-4.0"] * len(FILES),
        "museum": ["MET"] * len(FILES),
        "permalink": ["https://museum.example/1"] * len(FILES),
    }
    manifest = Manifest.build(columns, root, CLASSES)
    order = [FILES.index(file) for file in manifest.column("file")]
    logits = np.eye(3, dtype=np.float32)[[predicted[k] for k in order]] * 3
    options = EvaluationOptions(2, 0.9, [], 2, 50, 10, 0, None)
    return Assessment("t", manifest, np.array([targets[k] for k in order]), logits, None, options, {})


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, without the list and the credits."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("mistakes.csv", "ATTRIBUTION.md")
    }


EXPECTED = {
    "Greek _ Roman/=1+1/1.jpg": b"image 0",
    "=1+1/Greek _ Roman/2.JPG": b"image 2",
    "CON_/Greek _ Roman/nul_.png": b"image 3",
}


@pytest.mark.parametrize("how", ["copy", "link"])
def test_files_list_and_credits(tmp_path: Path, how: str) -> None:
    done = write_mistakes(assessment(tmp_path / "data"), tmp_path / "out", how)  # type: ignore[arg-type]
    folder = tmp_path / "out" / "mistakes"
    found = contents(folder)
    second = next(path for path in found if path.startswith("Greek _ Roman/=1+1/1-"))
    assert found == EXPECTED | {second: b"image 1"}
    assert (folder / second).stat().st_nlink == (2 if how == "link" else 1)
    assert (done.written, done.copied, done.unreadable, done.removed) == (4, 0, ("c/gone.jpg",), 0)
    assert "4 misclassified images" in done.summary
    assert "1 unreadable: c/gone.jpg" in done.summary

    text = (folder / "mistakes.csv").read_text(encoding="utf-8")
    assert is_inert(text)
    rows = list(read_records(text.splitlines()))
    assert {row["path"] for row in rows} == set(found)
    first = next(row for row in rows if row["path"] == "Greek _ Roman/=1+1/1.jpg")
    assert (first["true"], first["predicted"]) == ("Greek / Roman", "=1+1")
    assert (first["title"], first["credit"], first["licence"]) == ("=cmd", "Gift of Ada", "CC-BY-4.0")
    assert (first["group"], first["museum"], first["link"]) == ("g0", "MET", "https://museum.example/1")
    assert float(first["probability"]) == pytest.approx(np.exp(3) / (np.exp(3) + 2), abs=1e-5)
    credits_ = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(f"- `{path}`: " in credits_ for path in found)
    assert credits_.count("Gift of Ada") == len(found)
    assert "of `mistakes.csv`" in credits_
    assert "The manifest" not in credits_
    moved = shutil.move(tmp_path / "out", tmp_path / "moved")
    assert all((Path(moved) / done.path(row)).is_file() for row in done.paths)


def test_nothing_is_overwritten_and_a_run_is_resumed(tmp_path: Path) -> None:
    data, folder = assessment(tmp_path / "data"), tmp_path / "mistakes"
    write_mistakes(data, tmp_path, "copy")
    theirs = folder / "Greek _ Roman/=1+1/1.jpg"
    theirs.write_bytes(b"annotated")
    (folder / "CON_/Greek _ Roman/nul_.png").unlink()
    (folder / "mistakes.csv").unlink()
    done = write_mistakes(data, tmp_path, "copy")
    assert theirs.read_bytes() == b"annotated"
    assert (done.written, len(done.paths)) == (2, 4)
    assert sorted(contents(folder).values()) == [b"annotated", b"image 0", b"image 1", b"image 2", b"image 3"]
    assert "2 were there before" in done.summary
    again = write_mistakes(data, tmp_path, "copy")
    assert (again.written, again.paths) == (0, done.paths)


def test_a_later_evaluation_removes_unchanged_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "mistakes"
    write_mistakes(assessment(tmp_path / "data"), tmp_path, "copy")
    (folder / "CON_/Greek _ Roman/nul_.png").write_bytes(b"annotated")
    (folder / "note.txt").write_text("mine")
    right = assessment(tmp_path / "data", (0, 0, 1, 2, 2, 2))
    done = write_mistakes(right, tmp_path, "copy")
    assert (done.removed, done.written, done.paths) == (3, 0, {})
    assert set(contents(folder)) == {"CON_/Greek _ Roman/nul_.png", "note.txt"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "ATTRIBUTION.md", "CON_", "mistakes.csv", "note.txt"
    ]  # fmt: skip


def test_a_foreign_list_removes_nothing_outside(tmp_path: Path) -> None:
    data = assessment(tmp_path / "data")
    write_mistakes(data, tmp_path, "copy")
    outside = tmp_path / "precious.jpg"
    outside.write_bytes(b"image 0")
    listed = "path,file\n../precious.jpg,a/1.jpg\n/etc/passwd,a/1.jpg\n"
    (tmp_path / "mistakes" / "mistakes.csv").write_text(listed)
    assert write_mistakes(data, tmp_path, "copy").removed == 0
    assert outside.is_file()


def test_without_hard_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    done = write_mistakes(assessment(tmp_path / "data"), tmp_path, "link")
    assert (done.written, done.copied) == (4, 4)
    assert "4 copied, because the file system cannot link them" in done.summary
    assert b"image 0" in contents(tmp_path / "mistakes").values()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mistakes").write_text("mine")
    with pytest.raises(DataError, match="not a folder"):
        write_mistakes(assessment(tmp_path / "data"), tmp_path, "copy")
