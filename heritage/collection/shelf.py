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

from heritage.collection.body import PartBody
from heritage.collection.images import IMAGES, verify
from heritage.collection.ledger import Ledger
from heritage.collection.states import ImageRow, ImageState, StoredFile

_PARTS = ".parts"


class Shelf:
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
        for name in (IMAGES, _PARTS):
            (folder / name).mkdir(exist_ok=True)

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
        """Put a written photograph in its place."""
        dated = replace(stored, etag=headers.get("etag"), last_modified=headers.get("last-modified"))
        self._ledger.writing(image, dated)
        self._rename(image, stored.file)
        if image.file is not None and image.file != stored.file:
            (self._folder / image.file).unlink(missing_ok=True)
        self._ledger.end_image(image, ImageState.STORED)

    def finish(self, image: ImageRow) -> bool:
        """Finish what a crash interrupted; False where the photograph must be fetched again."""
        whole = image.file is not None and (
            self._is(self._folder / image.file, image) or self._is(self._part(image), image)
        )
        if whole and image.file is not None and not self._is(self._folder / image.file, image):
            self._rename(image, image.file)
        self._ledger.end_image(image, ImageState.STORED if whole else ImageState.WANTED, attempts=0)
        return whole

    def _rename(self, image: ImageRow, file: str) -> None:
        self._part(image).replace(self._folder / file)

    def _part(self, image: ImageRow) -> Path:
        return self._folder / _PARTS / f"{image.id}.part"

    @staticmethod
    def _is(path: Path, image: ImageRow) -> bool:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == image.sha256
