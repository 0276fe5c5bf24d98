"""``ATTRIBUTION.md``: the credits of photographs, by museum and licence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from heritage.core.escaping import markdown, markdown_code, markdown_link
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted

ATTRIBUTION_FILE = "ATTRIBUTION.md"

_FREE = ("cc0", "public domain", "pd", "no known copyright")
_UNKNOWN = "licence not recorded"


def attribution(manifest: Manifest, paths: Sequence[str] | None = None, table: str | None = None) -> str:
    """Return the credits of all photographs as Markdown.

    Args:
        manifest: The photographs.
        paths: List every photograph by its path. Otherwise works are listed one by one if their licence
            requires credit, and credit lines once if it does not.
        table: File with the credits as columns; None is the manifest.
    """
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    licences = manifest.column("licence")
    for row, museum in enumerate(manifest.column("museum")):
        rows[museum or "LOCAL"][licences[row] or _UNKNOWN].append(row)
    text = [
        "# Attribution",
        "",
        f"{counted(len(manifest), 'photograph')} from the museums below.",
        f"The columns `credit`, `licence` and `link` of {markdown_code(table)} have the same for each image."
        if table
        else "The manifest has the columns `credit`, `licence`, `permalink` and `source_url` for each image.",
    ]
    for museum in sorted(rows):
        text += ["", f"## {markdown(manifest.museum(museum).name)}"]
        for licence, chosen in sorted(rows[museum].items()):
            text += ["", f"### {markdown(licence)} ({counted(len(chosen), 'image')})", ""]
            if licence == _UNKNOWN:
                text += ["The source does not record a licence for these: find out before publishing.", ""]
            if paths is not None:
                text += _files(manifest, chosen, paths)
            elif is_free(licence) or licence == _UNKNOWN:
                text += _credit_lines(manifest, chosen)
            else:
                text += _works(manifest, chosen)
    return "\n".join(text) + "\n"


def licence_counts(manifest: Manifest) -> dict[str, int]:
    """Count photographs by licence, the commonest first."""
    return dict(Counter(licence or _UNKNOWN for licence in manifest.column("licence")).most_common())


def is_free(licence: str) -> bool:
    """Return whether a licence requires no credit."""
    return licence.strip().lower().startswith(_FREE)


def _files(manifest: Manifest, rows: Sequence[int], paths: Sequence[str]) -> list[str]:
    names = ("title", "credit", "permalink")
    titles, credits_, links = map(manifest.column, names)
    return [
        f"- {markdown_code(paths[row])}: {markdown(titles[row] or 'untitled')}. "
        f"{_line(credits_[row])}. {markdown_link(links[row])}".rstrip()
        for row in rows
    ]


def _credit_lines(manifest: Manifest, rows: Sequence[int]) -> list[str]:
    credits_ = manifest.column("credit")
    lines = Counter(_line(credits_[row]) for row in rows)
    return [f"- {credit} ({count:,})" for credit, count in sorted(lines.items())]


def _works(manifest: Manifest, rows: Sequence[int]) -> list[str]:
    """Return a line for each work; several photographs of one have one line."""
    names = ("title", "image_id", "credit", "permalink")
    titles, ids, credits_, links = map(manifest.column, names)
    works = {
        (_line(titles[row] or ids[row]), _line(credits_[row]), markdown_link(links[row])) for row in rows
    }
    return [f"- {title}. {credit}. {link}".rstrip() for title, credit, link in sorted(works)]


def _line(value: str | None) -> str:
    return markdown(value or "no credit line recorded")
