"""Class labels of folders and tables: spelling, order, and the class list of a data set.

Labels are equal if they differ only in the form of their Unicode characters or in blanks. Labels that also
differ in case, underscores or hyphens are two spellings of one class, which is an error.
"""

from __future__ import annotations

import logging
import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from os import PathLike

from heritage.core.taxonomy import CLASSES, nearest
from heritage.errors import ManifestError, UnknownClassError

log = logging.getLogger(__name__)

# Byte-order marks, soft hyphens and marks of direction, which come with copied text. The joiners of Arabic
# and Indian scripts belong to the spelling.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF]
)
_NAMED = 5  # classes in a message
_HYDRA_WORDS = frozenset({"null", "true", "false", "nan", "inf"})  # mean something else than their letters


def clean_label(text: str) -> str:
    """Return a label in Unicode's composed form, without invisible, surrounding and repeated blanks."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_INVISIBLE).split())


def comparison_key(label: str) -> str:
    """Return what two spellings of one class have in common."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return " ".join(re.sub(r"[\s_\u2010-\u2015\u2212-]+", " ", folded).split())


def require_one_spelling(counts: Mapping[str, int], where: str | PathLike[str]) -> None:
    """Check that no two labels are spellings of one class.

    Args:
        counts: Number of images by label.
        where: The folder or table that has the labels, for the message.

    Raises:
        ManifestError: There are two; the message has both spellings and their numbers of images.
    """
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        spellings[comparison_key(label)].append(label)
    if several := next((labels for labels in spellings.values() if len(labels) > 1), None):
        raise ManifestError(
            f"{len(several)} spellings of one class: {_with_counts(several, counts)}",
            where=where,
            remedy="give all of them one spelling",
        )


def choose_classes(
    counts: Mapping[str, int], declared: Sequence[str] | None, where: str | PathLike[str]
) -> tuple[str, ...]:
    """Return the class list of a data set.

    Args:
        counts: Number of images by label.
        declared: ``data.classes``, which chooses and orders classes; None takes all labels, in the order of
            the six civilisations if they are some of these, and in alphabetical order otherwise.
        where: The folder or table that has the labels, for messages.

    Raises:
        ManifestError: Two labels are spellings of one class.
        UnknownClassError: A label that ``declared`` lacks is probably another spelling of one of its classes,
            or there is no image of any of them.
    """
    require_one_spelling(counts, where)
    if declared is None:
        in_order = CLASSES if set(counts) <= set(CLASSES) else sorted(counts)
        return tuple(name for name in in_order if name in counts)
    others = sorted(set(counts) - set(declared))
    missing = [name for name in declared if name not in counts]
    probable = {near: name for name in others if (near := _probable(name, missing))}
    if probable or (others and len(missing) == len(declared)):
        hints = [f"'{near}' in data.classes (did you mean {name}?)" for near, name in probable.items()]
        unknown = hints or [f"'{name}'" for name in others]
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise UnknownClassError(
            f"unknown class {', '.join(unknown[:_NAMED])}{more}: data.classes lists {', '.join(declared)}; "
            f"there are images of {_with_counts(sorted(counts), counts)}",
            where=where,
            remedy=f"rename the class, or set {shlex.quote(class_option(sorted(counts)))}",
        )
    if others:
        log.warning("%s: left out, as data.classes does not list it: %s", where, _with_counts(others, counts))
    return tuple(declared)


def declared_spellings(counts: Mapping[str, int], declared: Sequence[str] | None) -> dict[str, str]:
    """Return the labels that are other spellings of a class in ``data.classes``, each with that class.

    Args:
        counts: Number of images by label.
        declared: ``data.classes``.
    """
    by_key = {comparison_key(name): name for name in declared or ()}
    if len(by_key) < len(declared or ()):
        return {}  # it distinguishes spellings
    found = {name: by_key.get(comparison_key(name), name) for name in counts if name not in by_key.values()}
    return {name: new for name, new in found.items() if name != new and new not in counts}


def class_option(classes: Sequence[str]) -> str:
    """Return the override that chooses classes, ``data.classes=[china,"2"]``."""
    return f"data.classes=[{','.join(map(hydra_word, classes))}]"


def _probable(name: str, missing: Sequence[str]) -> str | None:
    same = [other for other in missing if comparison_key(other) == comparison_key(name)]
    return same[0] if same else nearest(name, missing)


def _with_counts(names: Sequence[str], counts: Mapping[str, int]) -> str:
    shown = [
        f"'{name}' ({counts[name]:,} {'image' if counts[name] == 1 else 'images'})" for name in names[:_NAMED]
    ]
    return ", ".join(shown) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def hydra_word(text: str) -> str:
    """Return text as a word of Hydra's overrides: numbers, and text with blanks or signs, need quotes."""
    if re.fullmatch(r"[A-Za-z/.~][\w/.~+-]*", text, re.ASCII) and text.lower() not in _HYDRA_WORDS:
        return text
    escaped = re.sub(r'(\\+)(?="|$)', r"\1\1", text).replace('"', '\\"')
    return f'"{escaped}"'
