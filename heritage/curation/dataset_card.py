"""The data set's card, ``README.md``: Hugging Face's form, with the questions of Gebru et al. (2021)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from heritage.core.manifest import SPLITS, Manifest
from heritage.curation.drop_reasons import REASONS

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_WAYS = {
    "stretch": "stretched to",
    "crop": "cropped to the central square and scaled to",
    "pad": "padded with their edge's colour and scaled to",
}


def card(kept: Manifest, about: Mapping[str, Any]) -> str:
    """Return the card of a data set as Markdown with a YAML head.

    Args:
        kept: The manifest.
        about: What ``dataset.json`` says.
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
    audit = about["audit"]
    found = "nothing crosses the border between splits" if audit["clean"] else (
        f"{audit['groups']:,} groups, {audit['objects']:,} objects and {audit['near_duplicates']:,} pairs of "
        "near-duplicates are in several splits"
    )  # fmt: skip
    return (
        f"# {about['name'] or 'Artefacts'}\n\n"
        f"{len(kept):,} photographs of museum artefacts in {len(kept.classes)} classes, "
        f"{about['image_size']}×{about['image_size']} pixels, in {about['groups']:,} groups that no split "
        f"tears apart. Fingerprint `{kept.fingerprint}`.\n\n"
        f"Leakage audit: {found} ({audit['compared']:,} pairs of images compared)."
    )


def _composition(kept: Manifest) -> str:
    classes, splits, museums = kept.column("class"), kept.column("split"), kept.column("museum")
    rows = ["| class | " + " | ".join(SPLITS) + " | all |", "|---|" + "---:|" * (len(SPLITS) + 1)]
    for name in kept.classes:
        own = [split for label, split in zip(classes, splits, strict=True) if label == name]
        cells = " | ".join(f"{own.count(split):,}" for split in SPLITS)
        rows.append(f"| {name} | {cells} | {len(own):,} |")
    from_where = ", ".join(
        f"{kept.museum(museum).name} ({museums.count(museum):,})" for museum in sorted(set(museums))
    )
    licences = ", ".join(f"{name} ({count:,})" for name, count in licence_counts(kept).items())
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
        "for decisions in `overrides.csv`. Dropped photographs keep their rows, with the reason:\n\n"
        f"{dropped or '- none was dropped.'}\n\n"
        f"Photographs were turned upright, converted to sRGB, {_WAYS[resize['way']]} {resize['size']}×"
        f"{resize['size']} and saved as JPEG of quality {resize['quality']}. Splits are by {split['by']} "
        f"(seed {split['seed']}); see [report.html](report.html) for pictures of all this."
    )


def _uses(kept: Manifest, about: Mapping[str, Any]) -> str:
    museums = set(kept.column("museum"))
    only = [
        name
        for name in kept.classes
        if len({m for m, c in zip(kept.column("museum"), kept.column("class"), strict=True) if c == name})
        == 1
    ]
    said = [
        "- Made for recognising the civilisation of an artefact, and studying how far that can be trusted.",
        "- Not for deciding on authenticity, provenance or ownership.",
        "- Classes are unequal in number: read macro averages and intervals, not accuracy alone.",
    ]
    if len(museums) > 1 and only:
        said.append(
            f"- {', '.join(only)} come from one museum each: a classifier can learn the museum's photography "
            "instead of the artefact. `split.by=museum` measures it."
        )
    said += [f"- {remark}" for remark in about["remarks"]]
    return "## Uses and limits\n\n" + "\n".join(said)


def _access(about: Mapping[str, Any]) -> str:
    return (
        "## Files and maintenance\n\n"
        "`manifest.parquet` has one row for each photograph, kept or dropped; `dataset.json` the "
        "fingerprint, counts and settings; `images/CLASSID_MUSEUM_UNIQUEID.jpg` the images. "
        "The data set can be rebuilt from its manifest and the raw photographs:\n\n"
        "    heritage curate raw=rebuild raw.dataset=<this> raw.root=<photographs> out=<new>\n\n"
        f"Made with heritage {about['heritage']}. Photographs show objects, not people; requests for removal "
        "are met by a line in `overrides.csv`."
    )


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
        text += ["", f"## {kept.museum(museum).name}"]
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
