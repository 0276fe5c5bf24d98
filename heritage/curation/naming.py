"""Classes and names: every photograph's class, and its name ``CLASSID_MUSEUM_UNIQUEID``."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow.compute as pc

from heritage.core.taxonomy import CLASSES, class_of_id, nearest, parse_image_name
from heritage.curation.raw_sources import RawImages
from heritage.errors import ManifestError

_NO_CLASS = 0  # class ids count from 1: this one is for rows that are dropped
_LONGEST = 60


def class_list(raw: RawImages, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the data set's classes: those given, the source's own list, or those found.

    Raises:
        ManifestError: The source names a class that is not among those given.
    """
    found = sorted(set(pc.unique(raw.table["class"]).drop_null().to_pylist()))
    classes = raw.classes if classes is None else classes
    if classes is None:
        # The thesis's classes keep their numbers even where some of them are missing.
        return CLASSES if set(found) <= set(CLASSES) else tuple(found)
    for name in found:
        if name not in classes:
            near = nearest(name, classes)
            hint = f"did you mean '{near}'? " if near else ""
            raise ManifestError(
                f"unknown class '{name}'",
                where=raw.root,
                remedy=f"{hint}classes has {', '.join(classes)}: "
                "rename the class, extend that list, or take all that are found with classes=null",
            )
    return tuple(classes)


def labels(raw: RawImages, classes: Sequence[str]) -> list[str | None]:
    """Return each row's class: from its column, else from its file name, else None.

    Raises:
        ManifestError: A file name has a class id outside the class list.
    """
    given: list[str | None] = raw.table["class"].to_pylist()
    if any(given):
        return given
    found: list[str | None] = []
    for file in raw.table["raw_file"].to_pylist():
        try:
            name = parse_image_name(PurePosixPath(file).stem)
        except ManifestError:
            found.append(None)
        else:
            found.append(class_of_id(name.class_id, classes))
    return found


def image_ids(raw: RawImages, labelled: Sequence[str | None], classes: Sequence[str]) -> list[str]:
    """Return a unique name for each row.

    A file that follows the convention keeps its museum and unique id. Any other gets its own name in
    plain letters with a hash of its path, so that names do not depend on what else there is.
    """
    number = {name: position for position, name in enumerate(classes, start=1)}
    museums = (
        raw.table["museum"].to_pylist() if "museum" in raw.table.column_names else [None] * len(labelled)
    )
    taken: set[str] = set()
    names = []
    for file, label, museum in zip(raw.table["raw_file"].to_pylist(), labelled, museums, strict=True):
        stem = PurePosixPath(file).stem
        try:
            parsed = parse_image_name(stem)
            rest = f"{parsed.museum}_{_plain(parsed.unique_id)}"
        except ManifestError:
            rest = f"{museum or 'LOCAL'}_{_plain(stem)}-{_short_hash(file)}"
        name = f"{number.get(label or '', _NO_CLASS)}_{rest}"
        while name in taken:  # the same stem in two folders, or a row that stands twice
            name = f"{name}-{_short_hash(file)}"
        taken.add(name)
        names.append(name)
    return names


def museum_of(image_id: str) -> str:
    """Return the museum that a name of the convention says."""
    return image_id.split("_", 2)[1]


def _plain(text: str) -> str:
    """Return text in the letters every file system and URL takes."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9.-]+", "-", letters).strip("-.")[:_LONGEST] or "image"


def _short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
