"""The class list of a data set, and the class of each photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow.compute as pc

from heritage.core.taxonomy import CLASSES, class_of_id, nearest, parse_image_name
from heritage.curation.raw_sources import RawImages
from heritage.errors import ManifestError


def class_list(raw: RawImages, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class list: the one given, the source's, or the classes that occur.

    Args:
        raw: The source.
        classes: The class list of the configuration, if it has one.

    Raises:
        ManifestError: A class of the source is not in the list.
    """
    present = sorted(set(pc.unique(raw.table["class"]).drop_null().to_pylist()))
    classes = raw.classes if classes is None else classes
    if classes is None:
        # The thesis's classes keep their ids even if some of them are missing.
        return CLASSES if set(present) <= set(CLASSES) else tuple(present)
    for name in present:
        if name not in classes:
            near = nearest(name, classes)
            hint = f"did you mean '{near}'? " if near else ""
            raise ManifestError(
                f"unknown class '{name}'",
                where=raw.root,
                remedy=f"{hint}classes has {', '.join(classes)}: "
                "rename the class, extend the list, or use all classes with classes=null",
            )
    return tuple(classes)


def labels(raw: RawImages, classes: Sequence[str]) -> list[str | None]:
    """Return the class of each row, from its column or else from the file name; None if unknown.

    Raises:
        ManifestError: A file name has a class id outside the class list.
    """
    given: list[str | None] = raw.table["class"].to_pylist()
    if any(given):
        return given
    from_names: list[str | None] = []
    for file in raw.table["raw_file"].to_pylist():
        try:
            name = parse_image_name(PurePosixPath(file).stem)
        except ManifestError:
            from_names.append(None)
        else:
            from_names.append(class_of_id(name.class_id, classes))
    return from_names
