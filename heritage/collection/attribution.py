"""What one may do with the photographs, and whom to thank: written beside them."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from heritage.manifest import Manifest
from heritage.paths import write_text
from heritage.taxonomy import MUSEUMS

ATTRIBUTION_FILE = "ATTRIBUTION.md"
LICENCES_FILE = "LICENCES.md"

_MEANING = {
    "CC0-1.0": "no rights reserved: use, change and publish freely; naming the museum is a courtesy",
    "Musée du Louvre, terms of use (no open licence)": (
        "museum, teaching, scientific and thesis use only, each with photo credit and permalink; "
        "not to be published as a data set, not to be used commercially"
    ),
}


def write_attribution(manifest: Manifest, folder: Path) -> None:
    """Write ``ATTRIBUTION.md`` (a line a photograph) and ``LICENCES.md`` (what each licence allows)."""
    write_text(folder / ATTRIBUTION_FILE, _attribution(manifest))
    write_text(folder / LICENCES_FILE, _licences(manifest))


def _attribution(manifest: Manifest) -> str:
    by_museum: dict[str, list[str]] = defaultdict(list)
    names = ("museum", "file", "title", "credit", "licence", "permalink")
    for museum, file, title, credit, licence, link in zip(*map(manifest.column, names), strict=True):
        by_museum[museum].append(f"- `{Path(file).name}`: {_escaped(title or 'untitled')}. "
                                 f"{_escaped(credit)}. {_escaped(licence)}. <{link}>")  # fmt: skip
    parts = ["# Where the photographs come from\n"]
    for museum, lines in sorted(by_museum.items()):
        parts.append(f"\n## {MUSEUMS.get(museum, museum)}\n\n" + "\n".join(lines) + "\n")
    return "".join(parts)


def _licences(manifest: Manifest) -> str:
    counts = Counter(zip(manifest.column("licence"), manifest.column("museum"), strict=True))
    rows = "".join(
        f"| {licence} | {MUSEUMS.get(museum, museum)} | {number:,} | {_MEANING.get(licence, '')} |\n"
        for (licence, museum), number in sorted(counts.items())
    )
    return (
        "# What may be done with the photographs\n\n"
        f"| licence | museum | photographs | it allows |\n|---|---|---:|---|\n{rows}"
        "\nThe museums' descriptions of the objects stand under their own open licences. The line of each "
        f"photograph is in `{ATTRIBUTION_FILE}` and in the manifest's columns `licence`, `credit` and "
        "`permalink`.\n"
    )


def _escaped(text: str) -> str:
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
