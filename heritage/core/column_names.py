"""Names of the columns of people's tables."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from heritage.errors import ManifestError


def column_name(name: str) -> str:
    """Return a column's name without surrounding blanks, quotation marks and byte-order marks."""
    return unicodedata.normalize("NFC", name.replace("\ufeff", "")).strip().strip('"').strip()


def unique_names(names: Sequence[str], path: Path, needed: Collection[str]) -> list[str]:
    """Return column names, with later ones of the same name renamed.

    Raises:
        ManifestError: One of ``needed`` occurs twice.
    """
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for name in names:
        seen[name] += 1
        if name and seen[name] > 1 and name in needed:
            raise ManifestError(
                f"column '{name}' occurs twice", where=path, remedy="remove or rename one of them"
            )
        number = seen[name]
        new = name if number == 1 else f"{name}.{number}"
        while new in unique or (number > 1 and new in names):
            number += 1
            new = f"{name}.{number}"
        unique.append(new)
    return unique
