"""``ATTRIBUTION.md``: who gave the photographs, and under which licence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from heritage.manifest import Manifest
from heritage.taxonomy import MUSEUMS

_FREE = ("cc0", "public domain", "pd", "no known copyright")
_MARKDOWN = "\\`*_[]<>|"
_UNKNOWN = "licence not recorded"


def attribution(kept: Manifest) -> str:
    """Return the credits of all images as Markdown.

    Works whose licence asks for it are named one by one; of the others each credit line stands once.
    """
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    licences = kept.column("licence")
    for row, museum in enumerate(kept.column("museum")):
        rows[museum or "LOCAL"][licences[row] or _UNKNOWN].append(row)
    text = [
        "# Attribution",
        "",
        f"The {len(kept):,} photographs of this data set come from the museums below.",
        "The columns `credit`, `licence`, `permalink` and `source_url` of the manifest say it of each image.",
    ]
    for museum in sorted(rows):
        text += ["", f"## {MUSEUMS.get(museum, museum)}"]
        for licence in sorted(rows[museum]):
            text += _section(kept, licence, rows[museum][licence])
    return "\n".join(text) + "\n"


def licence_counts(kept: Manifest) -> dict[str, int]:
    """Return how many images each licence has, the commonest first."""
    return dict(Counter(licence or _UNKNOWN for licence in kept.column("licence")).most_common())


def is_free(licence: str) -> bool:
    """Tell whether a licence asks for no credit."""
    return licence.strip().lower().startswith(_FREE)


def _section(kept: Manifest, licence: str, rows: Sequence[int]) -> list[str]:
    text = ["", f"### {licence} ({len(rows):,} images)", ""]
    if licence == _UNKNOWN:
        text += [
            "The source does not say under which licence these may be used: find out before publishing.",
            "",
        ]
    credits_ = kept.column("credit")
    if is_free(licence) or licence == _UNKNOWN:
        lines = Counter(_line(credits_[row]) for row in rows)
        return text + [f"- {credit} ({count:,})" for credit, count in sorted(lines.items())]
    titles, links = kept.column("title"), kept.column("permalink")
    works = {
        (_line(titles[row] or kept.column("image_id")[row]), _line(credits_[row]), links[row] or "")
        for row in rows
    }
    return text + [f"- {title}. {credit}. {link}".rstrip() for title, credit, link in sorted(works)]


def _line(value: str | None) -> str:
    text = " ".join((value or "no credit line recorded").split())
    return "".join(f"\\{sign}" if sign in _MARKDOWN else sign for sign in text)
