"""The data-set card ``README.md``, in Hugging Face's format, and ``ATTRIBUTION.md``.

The sections of the card follow Gebru et al. (2021), "Datasheets for Datasets".
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from heritage.core.manifest import SPLITS, Manifest
from heritage.curation.drop_reasons import REASONS
from heritage.escaping import markdown, markdown_link

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_WAYS = {
    "stretch": "stretched to",
    "crop": "cropped to the central square and scaled to",
    "pad": "padded with their edge's colour and scaled to",
}
_FREE = ("cc0", "public domain", "pd", "no known copyright")
_UNKNOWN = "licence not recorded"


def card(kept: Manifest, about: Mapping[str, Any]) -> str:
    """Return the card of a data set as Markdown with YAML front matter.

    Args:
        kept: The manifest.
        about: The content of ``dataset.json``.
    """
    parts = (
        _head(kept, about),
        _summary(kept, about),
        _composition(kept),
        _process(kept, about),
        _uses(kept, about),
        _access(about),
    )
    return "\n\n".join(parts) + "\n"


def _head(kept: Manifest, about: Mapping[str, Any]) -> str:
    size = next((name for limit, name in _SIZES if len(kept) < limit), "n>1M")
    free = all(is_free(licence) for licence in licence_counts(kept))
    names = "\n".join(f"          '{number}': {json.dumps(name)}" for number, name in enumerate(kept.classes))
    return (
        f"---\npretty_name: {json.dumps(about['name'] or 'artefacts')}\n"
        f"license: {'cc0-1.0' if free else 'other'}\n"
        "task_categories:\n- image-classification\ntags:\n- cultural-heritage\n- museums\n"
        f"size_categories:\n- {size}\n"
        f"dataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: class\n    dtype:\n"
        f"      class_label:\n        names:\n{names}\n---"
    )


def _summary(kept: Manifest, about: Mapping[str, Any]) -> str:
    leaks = about["audit"]
    result = "there is no leak" if leaks["clean"] else (
        f"{leaks['groups']:,} groups, {leaks['objects']:,} objects and {leaks['near_duplicates']:,} pairs of "
        "near-duplicates are in several splits"
    )  # fmt: skip
    return (
        f"# {markdown(about['name'] or 'Artefacts')}\n\n"
        f"{len(kept):,} photographs of museum artefacts in {len(kept.classes)} classes, "
        f"{about['image_size']}×{about['image_size']} pixels, in {about['groups']:,} groups, each in "
        f"one split. Fingerprint `{kept.fingerprint}`.\n\n"
        f"Leak check: {result} ({leaks['compared']:,} pairs of images compared)."
    )


def _composition(kept: Manifest) -> str:
    classes, splits, museums = kept.column("class"), kept.column("split"), kept.column("museum")
    rows = ["| class | " + " | ".join(SPLITS) + " | all |", "|---|" + "---:|" * (len(SPLITS) + 1)]
    for name in kept.classes:
        own = [split for label, split in zip(classes, splits, strict=True) if label == name]
        cells = " | ".join(f"{own.count(split):,}" for split in SPLITS)
        rows.append(f"| {markdown(name)} | {cells} | {len(own):,} |")
    from_where = ", ".join(
        f"{markdown(kept.museum(museum).name)} ({museums.count(museum):,})" for museum in sorted(set(museums))
    )
    licences = ", ".join(f"{markdown(name)} ({count:,})" for name, count in licence_counts(kept).items())
    return (
        "## Composition\n\n" + "\n".join(rows) + f"\n\nFrom: {from_where}.\n\nLicences: {licences}. "
        "Every credit is in [ATTRIBUTION.md](ATTRIBUTION.md)."
    )


def _process(kept: Manifest, about: Mapping[str, Any]) -> str:
    settings = about["configuration"]
    resize, split = settings["resize"], settings["split"]
    dropped = "\n".join(
        f"- {reason}: {count:,}. {REASONS[reason]}" for reason, count in about["dropped"].items()
    )
    return (
        "## Collection, cleaning and labelling\n\n"
        f"Of {about['photographs']:,} photographs {len(kept):,} were kept. Labels are the museums' own, "
        "or follow from the rule in the manifest's column `rule`; nobody annotated images by hand, except "
        "for the decisions in `overrides.csv`. Dropped photographs are in the manifest, with the reason:\n\n"
        f"{dropped or '- none.'}\n\n"
        f"Photographs were turned upright, converted to sRGB, {_WAYS[resize['way']]} {resize['size']}×"
        f"{resize['size']} and saved as JPEG of quality {resize['quality']}. Splits are by {split['by']} "
        f"(seed {split['seed']}); see [report.html](report.html) for examples."
    )


def _uses(kept: Manifest, about: Mapping[str, Any]) -> str:
    museums = set(kept.column("museum"))
    only = [
        name
        for name in kept.classes
        if len({m for m, c in zip(kept.column("museum"), kept.column("class"), strict=True) if c == name})
        == 1
    ]
    limits = [
        "- Intended for recognising the civilisation of an artefact, and for studying the limits of that.",
        "- Not intended for decisions on authenticity, provenance or ownership.",
        "- Classes are imbalanced: report macro averages and confidence intervals, not accuracy alone.",
    ]
    if len(museums) > 1 and only:
        limits.append(
            f"- {markdown(', '.join(only))} come from one museum each: a classifier can learn the style of "
            "the museum's photographs instead of the artefacts. `split.by=museum` measures this."
        )
    limits += [f"- {markdown(remark)}" for remark in about["remarks"]]
    return "## Uses and limits\n\n" + "\n".join(limits)


def _access(about: Mapping[str, Any]) -> str:
    return (
        "## Files and maintenance\n\n"
        "`manifest.parquet` has one row per photograph, kept or dropped; `dataset.json` the "
        "fingerprint, counts and settings; `images/CLASSID_MUSEUM_UNIQUEID.jpg` the images. "
        "The data set can be rebuilt from its manifest and the raw photographs:\n\n"
        "    heritage curate raw=rebuild raw.dataset=<this> raw.root=<photographs> out=<new>\n\n"
        f"Made with heritage {about['heritage']}. Photographs show objects, not people; requests for removal "
        "are handled by a line in `overrides.csv`."
    )


def attribution(kept: Manifest) -> str:
    """Return the credits of all images as Markdown.

    Works are listed one by one if their licence requires credit; otherwise each credit line is listed once.
    """
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    licences = kept.column("licence")
    for row, museum in enumerate(kept.column("museum")):
        rows[museum or "LOCAL"][licences[row] or _UNKNOWN].append(row)
    text = [
        "# Attribution",
        "",
        f"The {len(kept):,} photographs of this data set come from the museums below.",
        "The manifest has the columns `credit`, `licence`, `permalink` and `source_url` for each image.",
    ]
    for museum in sorted(rows):
        text += ["", f"## {markdown(kept.museum(museum).name)}"]
        for licence in sorted(rows[museum]):
            text += _section(kept, licence, rows[museum][licence])
    return "\n".join(text) + "\n"


def licence_counts(kept: Manifest) -> dict[str, int]:
    """Count images by licence, the commonest first."""
    return dict(Counter(licence or _UNKNOWN for licence in kept.column("licence")).most_common())


def is_free(licence: str) -> bool:
    """Return whether a licence requires no credit."""
    return licence.strip().lower().startswith(_FREE)


def _section(kept: Manifest, licence: str, rows: Sequence[int]) -> list[str]:
    text = ["", f"### {markdown(licence)} ({len(rows):,} images)", ""]
    if licence == _UNKNOWN:
        text += [
            "The source does not record a licence for these: find out before publishing.",
            "",
        ]
    credits_ = kept.column("credit")
    if is_free(licence) or licence == _UNKNOWN:
        lines = Counter(_line(credits_[row]) for row in rows)
        return text + [f"- {credit} ({count:,})" for credit, count in sorted(lines.items())]
    titles, links = kept.column("title"), kept.column("permalink")
    works = {
        (_line(titles[row] or kept.column("image_id")[row]), _line(credits_[row]), markdown_link(links[row]))
        for row in rows
    }
    return text + [f"- {title}. {credit}. {link}".rstrip() for title, credit, link in sorted(works)]


def _line(value: str | None) -> str:
    return markdown(value or "no credit line recorded")
