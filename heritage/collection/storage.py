"""Crash-safe storage of photographs on disk.

A photograph is written to a ``.part`` file, validated (`image_validation`), synced, entered in the ledger
with its digest as "writing", renamed to its final name, and entered as stored. A killed collector leaves one
of these states, from which the next run recovers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from heritage.collection.http.body import PartBody, sendable
from heritage.collection.image_validation import IMAGES, SUFFIXES, validate_image
from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageRow, ImageState, StoredFile
from heritage.collection.queues import ImageQueue
from heritage.core.paths_in_data import is_inside
from heritage.errors import CollectionError

_PARTS = ".parts"


class PhotoStorage:
    """The photographs of a collection.

    Args:
        folder: The collection's folder.
        ledger: Its ledger.
        min_side: Minimum length of a photograph's shorter side in pixels.
        placeholders: SHA-256 digests of "no photograph" images.
    """

    def __init__(self, folder: Path, ledger: Ledger, *, min_side: int, placeholders: frozenset[str]) -> None:
        self._folder = folder
        self._ledger = ledger
        self._min_side = min_side
        self._placeholders = placeholders

    def make_folders(self) -> None:
        """Create the folders of photographs.

        Raises:
            OSError: They cannot be created.
        """
        for name in (IMAGES, _PARTS):
            (self._folder / name).mkdir(exist_ok=True)

    def has_file(self, image: ImageRow) -> bool:
        """Return whether the file of a stored photograph exists."""
        return image.file is not None and (self._file(image.file)).is_file()

    def body(self, image: ImageRow, condition: Mapping[str, str] | None = None) -> PartBody:
        """Return the body of a download, which resumes an interrupted one."""
        return PartBody(self._part(image), condition)

    def write(self, image: ImageRow, body: PartBody) -> StoredFile:
        """Validate a downloaded photograph and write it to its ``.part`` file; may run in a thread.

        Raises:
            ImageError: The photograph is invalid.
        """
        data = body.in_memory()
        stored = validate_image(data, image.stem, min_side=self._min_side, placeholders=self._placeholders)
        # A body that was streamed to the file only needs syncing.
        with self._part(image).open("rb" if body.spilled else "wb") as file:
            if not body.spilled:
                file.write(data)
                file.flush()
            os.fsync(file.fileno())
        body.remove_validator()
        return stored

    def commit(self, image: ImageRow, stored: StoredFile, headers: Mapping[str, str]) -> None:
        """Move a written photograph to its final name.

        Raises:
            OSError: It cannot be renamed.
        """
        dated = replace(
            stored,
            etag=sendable(headers.get("etag")),
            last_modified=sendable(headers.get("last-modified")),
        )
        self._ledger.mark_writing(image, dated)
        self._rename(image, stored.file)
        self._remove_predecessor(stored.file)
        self._ledger.finish_image(image, ImageState.STORED)

    def recover(self, image: ImageRow) -> None:
        """Complete an interrupted `commit`; an incomplete photograph is queued again.

        Raises:
            OSError: A file cannot be read or renamed.
        """
        renamed = image.file is not None and self._matches(self._file(image.file), image)
        complete = renamed or self._matches(self._part(image), image)
        if image.file is not None and complete:
            if not renamed:
                self._rename(image, image.file)
            self._remove_predecessor(image.file)
        self._ledger.finish_image(image, ImageState.STORED if complete else ImageState.QUEUED, attempts=0)

    def remove(self, image: ImageRow) -> None:
        """Remove the file of a photograph that no record shows any more.

        Raises:
            OSError: It cannot be removed.
        """
        if image.file is not None:
            (self._file(image.file)).unlink(missing_ok=True)

    def _remove_predecessor(self, file: str) -> None:
        """Remove the replaced photograph if it had another format and so another suffix."""
        path = self._file(file)
        for suffix in SUFFIXES - {path.suffix}:
            path.with_suffix(suffix).unlink(missing_ok=True)

    def _rename(self, image: ImageRow, file: str) -> None:
        self._part(image).replace(self._file(file))

    def _file(self, name: str) -> Path:
        if not is_inside(name):
            raise CollectionError(
                f"the ledger names '{name}', which is outside of the collection",
                where=self._folder,
                remedy="restore ledger.sqlite, or collect into another folder",
            )
        return self._folder / name

    def _part(self, image: ImageRow) -> Path:
        return self._folder / _PARTS / f"{image.id}.part"

    @staticmethod
    def _matches(path: Path, image: ImageRow) -> bool:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == image.sha256


def recover_interrupted(ledger: Ledger, museum: str, storage: PhotoStorage) -> None:
    """Complete the renames that a killed collector had begun.

    Raises:
        OSError: A file cannot be read or renamed.
    """
    queue = ImageQueue(ledger, museum, None, ImageState.WRITING)
    while (image := queue.next()) is not None:
        storage.recover(image)


def remove_superseded(ledger: Ledger, museum: str, storage: PhotoStorage) -> None:
    """Remove the files of photographs that no record shows any more.

    Raises:
        OSError: A file cannot be removed.
    """
    queue = ImageQueue(ledger, museum, None, ImageState.SUPERSEDED)
    while (image := queue.next()) is not None:
        storage.remove(image)


def requeue_missing(ledger: Ledger, museum: str, storage: PhotoStorage) -> int:
    """Queue stored photographs whose file is missing.

    Returns:
        Number of missing files.
    """
    missing = 0
    queue = ImageQueue(ledger, museum, None, ImageState.STORED)
    while (image := queue.next()) is not None:
        if not storage.has_file(image):
            ledger.finish_image(image, ImageState.QUEUED, attempts=0)
            missing += 1
    return missing
