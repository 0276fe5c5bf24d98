"""The image id ``CLASSID_MUSEUM_UNIQUEID`` of each photograph."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from heritage.core.taxonomy import parse_image_name
from heritage.curation.raw_sources import RawImages
from heritage.errors import ManifestError

_NO_CLASS = 0  # class ids count from 1; rows without a class are dropped
_LONGEST = 60


def image_ids(raw: RawImages, row_labels: Sequence[str | None], classes: Sequence[str]) -> list[str]:
    """Return a unique image id for each row.

    A file named by the convention keeps its museum and unique id. For any other, the unique id is its stem in
    ASCII with a hash of its path, so that ids do not depend on other files.
    """
    number = {name: position for position, name in enumerate(classes, start=1)}
    museums = (
        raw.table["museum"].to_pylist() if "museum" in raw.table.column_names else [None] * len(row_labels)
    )
    taken: set[str] = set()
    names = []
    for file, label, museum in zip(raw.table["raw_file"].to_pylist(), row_labels, museums, strict=True):
        stem = PurePosixPath(file).stem
        try:
            parsed = parse_image_name(stem)
            rest = f"{parsed.museum}_{_plain(parsed.unique_id)}"
        except ManifestError:
            rest = f"{_plain(museum or 'LOCAL')}_{_plain(stem)}-{_short_hash(file)}"
        name = f"{number.get(label or '', _NO_CLASS)}_{rest}"
        while name in taken:  # the same stem in two folders, or a repeated row
            name = f"{name}-{_short_hash(file)}"
        taken.add(name)
        names.append(name)
    return names


def museum_of(image_id: str) -> str:
    """Return the museum code of an image id."""
    return image_id.split("_", 2)[1]


def _plain(text: str) -> str:
    """Return text in characters that are safe in file names and URLs."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9.-]+", "-", letters).strip("-.")[:_LONGEST] or "image"


def _short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
