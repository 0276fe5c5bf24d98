"""Misclassified images as files: ``mistakes/<true class>/<predicted class>/``, with a list and the credits.

Existing files are never overwritten: an equal file is kept, and beside another file of the same name the
image gets a longer name. An interrupted run continues where it stopped, and images that a later evaluation
into the same folder classifies correctly are removed if they are unchanged.
"""

from __future__ import annotations

import contextlib
import filecmp
import logging
import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from heritage.core.attribution import ATTRIBUTION_FILE, attribution
from heritage.core.csv_files import CsvError, csv_text, read_records
from heritage.core.disk import full_disk_as_os_error
from heritage.core.files import write_text
from heritage.core.numbers import counted
from heritage.core.paths_in_data import is_inside
from heritage.core.progress import Progress
from heritage.core.safe_names import clash_key, safe_name, safe_names, unclashing
from heritage.errors import DataError
from heritage.evaluation.assessment import Assessment
from heritage.reports.thumbnails import Thumbnails

log = logging.getLogger(__name__)

MISTAKES_FOLDER, MISTAKES_FILE = "mistakes", "mistakes.csv"

_HEAD = (
    "path", "true", "predicted", "probability", "true_probability", "file", "group", "museum", "title",
    "credit", "licence", "link",
)  # fmt: skip
_NAMED = 3  # files in a message


@dataclass(frozen=True)
class Mistakes:
    """The files of misclassified images.

    Attributes:
        folder: The folder ``mistakes`` in the folder of the report.
        paths: Path of each misclassified row's file, relative to ``folder``.
        written: Files that were copied or linked; the others were there before.
        copied: Files among these that could not be linked and were copied.
        unreadable: Images whose file cannot be read, by their names in the data set.
        removed: Files of an earlier evaluation that were removed.
    """

    folder: Path
    paths: dict[int, str]
    written: int
    copied: int
    unreadable: tuple[str, ...]
    removed: int

    def path(self, row: int) -> str:
        """Return the path of a row's file relative to the report; empty without one."""
        return f"{MISTAKES_FOLDER}/{self.paths[row]}" if row in self.paths else ""

    @property
    def summary(self) -> str:
        """How many files there are, in one line."""
        count = len(self.paths)
        words = f"{counted(count, 'misclassified image')} in {self.folder}"
        details = []
        if count - self.written:
            details.append(f"{count - self.written:,} were there before")
        if self.copied:
            details.append(f"{self.copied:,} copied, because the file system cannot link them")
        if self.removed:
            details.append(f"{self.removed:,} of an earlier evaluation removed")
        if self.unreadable:
            shown = ", ".join(self.unreadable[:_NAMED]) + (" …" if len(self.unreadable) > _NAMED else "")
            details.append(f"{len(self.unreadable):,} unreadable: {shown}")
        return f"{words} ({'; '.join(details)})" if details else words


def write_mistakes(assessment: Assessment, folder: Path, how: Literal["copy", "link"]) -> Mistakes:
    """Put the misclassified images into folders, and write ``mistakes.csv`` and ``ATTRIBUTION.md``.

    Args:
        assessment: The measured predictions.
        folder: The folder of the report.
        how: Copy the files, or make hard links, which take no space and show changes of the originals.

    Raises:
        DataError: ``mistakes`` is a file or a link.
        OSError: The folder cannot be written.
    """
    folder = folder / MISTAKES_FOLDER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError("not a folder", where=folder, remedy="move it away, or evaluate into another folder")
    manifest, rows = assessment.manifest, misclassified(assessment)
    files = [str(manifest.table["file"][row].as_py()) for row in rows]
    names = safe_names(assessment.classes, reserved=(MISTAKES_FILE, ATTRIBUTION_FILE))
    predicted = assessment.calibrated.argmax(axis=1)
    paths: dict[int, str] = {}
    unreadable, written, copied = [], 0, 0
    taken: dict[str, set[str]] = defaultdict(set)
    with Progress("mistakes", len(rows)) as progress:
        for row, file in zip(rows, files, strict=True):
            inside = "/".join(
                names[assessment.classes[int(k)]] for k in (assessment.targets[row], predicted[row])
            )
            done = _place(manifest.root / file, folder, inside, file, taken[inside], link=how == "link")
            progress.advance(1)
            if done is None:
                unreadable.append(file)
                continue
            paths[row] = done.path
            written += done.new
            copied += done.new and how == "link" and not done.linked
    removed = _remove_earlier(folder, set(paths.values()), manifest.root)
    write_text(folder / MISTAKES_FILE, _listed(assessment, paths))
    credits_ = "# Attribution\n"
    if paths:
        shown = manifest.take(np.array(list(paths), dtype=np.int64))
        credits_ = attribution(shown, list(paths.values()), MISTAKES_FILE)
    write_text(folder / ATTRIBUTION_FILE, credits_)
    return Mistakes(folder, paths, written, copied, tuple(unreadable), removed)


def misclassified(assessment: Assessment) -> list[int]:
    """Return the misclassified rows by true and predicted class, the most confident ones first."""
    probabilities = assessment.calibrated
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = np.flatnonzero(predicted != assessment.targets)
    order = np.lexsort((rows, -confidence[rows], predicted[rows], assessment.targets[rows]))
    return [int(row) for row in rows[order]]


def _listed(assessment: Assessment, paths: dict[int, str]) -> str:
    """Return ``mistakes.csv``."""
    manifest, probabilities = assessment.manifest, assessment.calibrated
    predicted = probabilities.argmax(axis=1)
    known = manifest.table.column_names
    columns = {name: manifest.column(name) for name in ("file", "museum", "licence") if name in known}
    caption = Thumbnails(manifest, 0).caption
    rows = []
    for row, path in paths.items():
        about = caption(row)
        target, guess = int(assessment.targets[row]), int(predicted[row])
        rows.append([
            path, assessment.classes[target], assessment.classes[guess],
            f"{probabilities[row, guess]:.6f}", f"{probabilities[row, target]:.6f}", columns["file"][row],
            assessment.groups[row], columns.get("museum", {row: None})[row], about.title, about.credit,
            columns.get("licence", {row: None})[row], about.link,
        ])  # fmt: skip
    return csv_text(_HEAD, rows)


@dataclass(frozen=True, slots=True)
class _Placed:
    path: str
    new: bool
    linked: bool


def _place(
    source: Path, folder: Path, inside: str, file: str, taken: set[str], *, link: bool
) -> _Placed | None:
    """Copy or link a file to the first name that is free or has an equal file; None if it is unreadable."""
    source = Path(os.path.realpath(source))
    try:
        with source.open("rb"):
            pass
    except OSError:
        return None
    original = PurePosixPath(file)
    wanted = safe_name(original.stem, original.suffix)
    (folder / inside).mkdir(parents=True, exist_ok=True)
    while True:
        name = unclashing(wanted, file, taken)
        target = folder / inside / name
        linked = _create(source, target, link=link)
        taken.add(clash_key(name))
        if linked is None and not _equal(source, target):
            continue  # another person's file
        return _Placed(f"{inside}/{name}", linked is not None, bool(linked))


def _create(source: Path, target: Path, *, link: bool) -> bool | None:
    """Make a file unless it exists: True if it is a link, False if it is a copy, None if it existed."""
    if os.path.lexists(target):
        return None
    if link:
        try:
            target.hardlink_to(source)
        except FileExistsError:
            return None
        except OSError:  # another file system, or one without hard links
            pass
        else:
            return True
    handle, name = tempfile.mkstemp(prefix=".heritage-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_as_os_error(target):
            shutil.copyfile(source, temporary)
            shutil.copymode(source, temporary)
        try:
            target.hardlink_to(temporary)  # unlike a rename, it overwrites nothing
        except FileExistsError:
            return None
        except OSError:
            if os.path.lexists(target):
                return None
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return False


def _equal(source: Path, target: Path) -> bool:
    try:
        return not target.is_symlink() and filecmp.cmp(source, target, shallow=False)
    except OSError:
        return False


def _remove_earlier(folder: Path, kept: set[str], root: Path) -> int:
    """Remove the files of an earlier evaluation that are unchanged and no longer misclassified."""
    try:
        with (folder / MISTAKES_FILE).open(encoding="utf-8", newline="") as lines:
            earlier = [(row.get("path", ""), row.get("file", "")) for row in read_records(lines)]
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, CsvError) as error:
        log.warning("%s: unreadable (%s): earlier files remain", folder / MISTAKES_FILE, error)
        return 0
    removed = 0
    real = Path(os.path.realpath(folder))
    for path, file in earlier:
        target = folder / path
        if path in kept or not is_inside(path) or not Path(os.path.realpath(target)).is_relative_to(real):
            continue
        if _equal(root / file, target):
            target.unlink()
            removed += 1
            with contextlib.suppress(OSError):  # not empty
                target.parent.rmdir()
                target.parent.parent.rmdir()
    return removed
