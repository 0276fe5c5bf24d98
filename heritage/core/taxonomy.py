"""The class list, and the file-name convention ``CLASSID_MUSEUM_UNIQUEID.jpg``.

The convention is that of the thesis: ``1_LOUVRE_26784283.jpg`` is class 1 (egyptian) from the Louvre, with
the museum's id of the object. Class ids in file names start at 1, targets in tensors at 0, in the order of
the class list.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike

from heritage.errors import ManifestError

CLASSES: tuple[str, ...] = ("egyptian", "grecoroman", "orient", "islam", "byzantium", "asian")
"""The six civilisations of the thesis; the class id is the position, counted from 1."""

CIVILISATIONS: dict[str, str] = {
    "egyptian": "Egypt",
    "grecoroman": "Greece and Rome",
    "orient": "Ancient Near East",
    "islam": "Islamic world",
    "byzantium": "Byzantium",
    "asian": "Asia",
}
"""Display names of the six classes; classes of other lists are shown by their own names."""

_NAME = re.compile(r"^(?P<class_id>[1-9]\d*)_(?P<museum>[A-Z][A-Z0-9]*)_(?P<unique_id>[^/\\\s]+)$")


@dataclass(frozen=True, slots=True)
class ImageName:
    """The parts of a file name."""

    class_id: int
    museum: str
    unique_id: str

    def __str__(self) -> str:
        return f"{self.class_id}_{self.museum}_{self.unique_id}"


def parse_image_name(stem: str) -> ImageName:
    """Parse a file name without suffix, ``"1_LOUVRE_26784283"``.

    Raises:
        ManifestError: The stem does not follow the convention.
    """
    match = _NAME.match(stem)
    if match is None:
        raise ManifestError(
            "the name is not CLASSID_MUSEUM_UNIQUEID",
            where=stem,
            remedy="rename it (for example 1_LOUVRE_26784283.jpg) or give its class in a column",
        )
    return ImageName(int(match["class_id"]), match["museum"], match["unique_id"])


def class_of_id(class_id: int, classes: Sequence[str]) -> str:
    """Return the class of a class id in a file name.

    The ids of the six civilisations keep their meaning if the class list chooses or orders some of these.

    Raises:
        ManifestError: The id is outside the class list.
    """
    classes = CLASSES if set(classes) <= set(CLASSES) else classes
    if not 1 <= class_id <= len(classes):
        raise ManifestError(
            f"outside the class list 1..{len(classes)} ({', '.join(classes)})",
            where=f"class id {class_id}",
            remedy="correct the file name or set data.classes",
        )
    return classes[class_id - 1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to ``word``, or None if none is similar."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(word: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return a remedy for an unknown name: the nearest known one, or what else to do.

    Args:
        word: The unknown name.
        known: The known names.
        otherwise: The remedy if none is similar; by default, the list to choose from.

    Example:
        >>> suggestion("vti", ["vit", "resnet18"])
        "did you mean 'vit'?"
    """
    names = list(known)
    if near := nearest(word, names):
        return f"did you mean '{near}'?"
    return otherwise or f"choose from {', '.join(names) or 'nothing: the list is empty'}"


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def class_list_fault(classes: Sequence[str]) -> str | None:
    """Return what is wrong with a class list, or None.

    Names are text of at least one visible character, in one line, and each is listed once.
    """
    if not classes:
        return "the class list is empty"
    for position, name in enumerate(classes, start=1):
        if not name.strip():
            return f"class {position} has an empty name"
        if _UNPRINTABLE.search(name):
            return f"the name of class {position} has line breaks or control characters"
    if len(set(classes)) < len(classes):
        return f"class {Counter(classes).most_common(1)[0][0]} is listed twice"
    return None


def require_known_classes(names: Iterable[str], classes: Sequence[str], where: str | PathLike[str]) -> None:
    """Check that all class names are in the class list.

    Args:
        names: The names.
        classes: The class list.
        where: The file that has the names, for the message.

    Raises:
        ManifestError: A name is not in the list; the message suggests the nearest one.
    """
    unknown = sorted(set(names) - set(classes))
    if not unknown:
        return
    hints = [
        f"'{name}'" + (f" (did you mean {near}?)" if (near := nearest(name, classes)) else "")
        for name in unknown[:5]
    ]
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise ManifestError(
        f"unknown class {', '.join(hints)}{more}: the class list of this data set is {', '.join(classes)}",
        where=where,
        remedy="rename the class, add it to data.classes, or take the classes that occur: data.classes=null",
    )
