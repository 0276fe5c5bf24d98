"""Photographs on disk: written so that no half of one ever counts, whenever the power goes.

A file is written beside its place, synced, entered in the ledger with its digest as "writing", renamed,
and entered as stored. A killed collector leaves one of these states, and each can be finished.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from heritage.collection.http.body import PartBody
from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageRow, ImageState, StoredFile
from heritage.collection.photographs import IMAGES, SUFFIXES, verify
from heritage.collection.queues import ImageQueue

_PARTS = ".parts"


class PhotoStorage:
    """A collection's folder of photographs.

    Args:
        folder: The collection's folder.
        ledger: Its ledger.
        min_side: Pixels that a photograph's shorter side must have.
        placeholders: SHA-256 digests of pictures that say "no photograph".
    """

    def __init__(self, folder: Path, ledger: Ledger, *, min_side: int, placeholders: frozenset[str]) -> None:
        self._folder = folder
        self._ledger = ledger
        self._min_side = min_side
        self._placeholders = placeholders

    def make_folders(self) -> None:
        """Make the folders that photographs are written to.

        Raises:
            OSError: They cannot be made.
        """
        for name in (IMAGES, _PARTS):
            (self._folder / name).mkdir(exist_ok=True)

    def holds(self, image: ImageRow) -> bool:
        """Tell whether a stored photograph's file is there."""
        return image.file is not None and (self._folder / image.file).is_file()

    def body(self, image: ImageRow, condition: Mapping[str, str] | None = None) -> PartBody:
        """Return a receiver for a photograph's bytes, which goes on where an earlier one stopped."""
        return PartBody(self._part(image), condition)

    def write(self, image: ImageRow, body: PartBody) -> StoredFile:
        """Verify a photograph and write it beside its place; may run in a thread.

        Raises:
            ImageError: It is not a photograph worth having.
        """
        data = body.in_memory()
        stored = verify(data, image.stem, min_side=self._min_side, placeholders=self._placeholders)
        # What was spilled while it came is on disk already, and only synced.
        with self._part(image).open("rb" if body.spilled else "wb") as file:
            if not body.spilled:
                file.write(data)
                file.flush()
            os.fsync(file.fileno())
        body.forget_validator()
        return stored

    def put(self, image: ImageRow, stored: StoredFile, headers: Mapping[str, str]) -> None:
        """Put a written photograph in its place.

        Raises:
            OSError: It cannot be renamed.
        """
        dated = replace(stored, etag=headers.get("etag"), last_modified=headers.get("last-modified"))
        self._ledger.writing(image, dated)
        self._rename(image, stored.file)
        self._remove_predecessor(stored.file)
        self._ledger.end_image(image, ImageState.STORED)

    def finish(self, image: ImageRow) -> None:
        """Finish what a crash interrupted; what is not whole is wanted again.

        Raises:
            OSError: A file cannot be read or renamed.
        """
        in_place = image.file is not None and self._is(self._folder / image.file, image)
        whole = in_place or self._is(self._part(image), image)
        if image.file is not None and whole:
            if not in_place:
                self._rename(image, image.file)
            self._remove_predecessor(image.file)
        self._ledger.end_image(image, ImageState.STORED if whole else ImageState.WANTED, attempts=0)

    def remove(self, image: ImageRow) -> None:
        """Remove the file of a photograph that does not belong here any more.

        Raises:
            OSError: It cannot be removed.
        """
        if image.file is not None:
            (self._folder / image.file).unlink(missing_ok=True)

    def _remove_predecessor(self, file: str) -> None:
        """Remove a photograph that had the same name and another format: the ledger knows it no more."""
        place = self._folder / file
        for suffix in SUFFIXES - {place.suffix}:
            place.with_suffix(suffix).unlink(missing_ok=True)

    def _rename(self, image: ImageRow, file: str) -> None:
        self._part(image).replace(self._folder / file)

    def _part(self, image: ImageRow) -> Path:
        return self._folder / _PARTS / f"{image.id}.part"

    @staticmethod
    def _is(path: Path, image: ImageRow) -> bool:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == image.sha256


def finish_interrupted(ledger: Ledger, museum: str, shelf: PhotoStorage) -> None:
    """Finish the renames that a killed collector had begun.

    Raises:
        OSError: A file cannot be read or renamed.
    """
    queue = ImageQueue(ledger, museum, None, ImageState.WRITING)
    while (image := queue.next()) is not None:
        shelf.finish(image)


def remove_superseded(ledger: Ledger, museum: str, shelf: PhotoStorage) -> None:
    """Remove the files of photographs that no record shows any more; nothing else has their names.

    Raises:
        OSError: A file cannot be removed.
    """
    queue = ImageQueue(ledger, museum, None, ImageState.SUPERSEDED)
    while (image := queue.next()) is not None:
        shelf.remove(image)


def want_missing_again(ledger: Ledger, museum: str, shelf: PhotoStorage) -> int:
    """Queue stored photographs again whose file is no longer there; each costs one look at the folder.

    Returns:
        How many were missing.
    """
    missing = 0
    queue = ImageQueue(ledger, museum, None, ImageState.STORED)
    while (image := queue.next()) is not None:
        if not shelf.holds(image):
            ledger.end_image(image, ImageState.WANTED, attempts=0)
            missing += 1
    return missing
