"""The data-set card ``README.md``, in Hugging Face's format.

The sections of the card follow Gebru et al. (2021), "Datasheets for Datasets".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]

from heritage.core.attribution import licence_counts
from heritage.core.escaping import markdown, one_line
from heritage.core.licences import open_licence
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.numbers import counted
from heritage.core.split_tables import TEXT_COLUMNS, load_dataset_configs
from heritage.core.taxonomy import CIVILISATIONS
from heritage.curation.drop_reasons import REASONS

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_IMBALANCED = 1.5  # the largest class by the smallest
_WAYS = {
    "stretch": "stretched to",
    "crop": "cropped to the central square and scaled to",
    "pad": "padded with their edge's colour and scaled to",
}


@dataclass(frozen=True)
class PublishedPlace:
    """Where a data set is published.

    Attributes:
        repo: ``owner/name`` on the hub; None in an archive.
        bibtex: How it is cited; None if its creators are not stated.
    """

    repo: str | None
    bibtex: str | None


def card(
    kept: Manifest, about: Mapping[str, Any], *, images: bool = True, place: PublishedPlace | None = None
) -> str:
    """Return the card of a data set as Markdown with YAML front matter.

    Args:
        kept: The manifest.
        about: The content of ``dataset.json``.
        images: Whether the images go with it; without them it is the manifest alone.
        place: Where it is published, without the report and the dropped photographs; None for the folder that
            `heritage curate` writes.
    """
    published = place is not None
    parts = (
        _head(kept, about, images=images),
        _summary(kept, about),
        _composition(kept),
        _process(kept, about, published=published),
        _uses(kept, about),
        _use(place, images=images),
        _access(about, published=published),
        _citation(place),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(kept: Manifest, about: Mapping[str, Any], *, images: bool) -> str:
    size = next((name for limit, name in _SIZES if len(kept) < limit), "n>1M")
    head: dict[str, Any] = {
        "pretty_name": one_line(about["name"] or "artefacts"),
        "license": _licence(kept),
        "task_categories": ["image-classification"],
        "tags": ["cultural-heritage", "museums"],
        "size_categories": [size],
    }
    if images and (configs := load_dataset_configs(kept)):
        head["configs"] = configs
    text: str = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{text}---"


def _licence(kept: Manifest) -> str | list[str]:
    """Return the hub's identifiers of the photographs' licences; ``other`` if it has none for some."""
    known = {
        licence.hub if (licence := open_licence(text)) else "other" if text else "unknown"
        for text in set(kept.column("licence"))
    }
    names = sorted(known)
    return names[0] if len(names) == 1 else "other" if "other" in names else names


def _summary(kept: Manifest, about: Mapping[str, Any]) -> str:
    leaks = about["audit"]
    classes = sum(count > 0 for count in kept.counts().values())
    result = "there is no leak" if leaks["clean"] else (
        f"{counted(leaks['groups'], 'group')}, {counted(leaks['objects'], 'object')} and "
        f"{counted(leaks['near_duplicates'], 'pair')} of near-duplicates are in several splits"
    )  # fmt: skip
    return (
        f"# {markdown(about['name'] or 'Artefacts')}\n\n"
        f"{counted(len(kept), 'photograph')} of museum artefacts in {counted(classes, 'class')}, "
        f"{about['image_size']}×{about['image_size']} pixels, in {counted(about['groups'], 'group')}, each "
        f"in one split. Fingerprint `{kept.fingerprint}`.\n\n"
        f"Leak check: {result} ({counted(leaks['compared'], 'pair')} of images compared)."
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


def _process(kept: Manifest, about: Mapping[str, Any], *, published: bool) -> str:
    settings = about["configuration"]
    resize, split = settings["resize"], settings["split"]
    by_reason = "by reason" if published else "are in the manifest, with the reason"
    dropped = "".join(
        f"\n- {reason}: {count:,}. {REASONS[reason]}" for reason, count in about["dropped"].items()
    )
    dropped = f"\n{dropped}" if dropped else ""
    return (
        "## Collection, cleaning and labelling\n\n"
        f"{len(kept):,} of {counted(about['photographs'], 'photograph')} "
        f"{'was' if len(kept) == 1 else 'were'} kept. {_labelling(kept, published=published)}"
        f"{f'Dropped photographs {by_reason}:{dropped}' if dropped else 'No photograph was dropped.'}\n\n"
        f"Photographs were turned upright, converted to sRGB, {_WAYS[resize['way']]} {resize['size']}×"
        f"{resize['size']} and saved as JPEG of quality {resize['quality']}. Splits are by {split['by']} "
        f"(seed {split['seed']}){'' if published else '; see [report.html](report.html) for examples'}."
    )


def _labelling(kept: Manifest, *, published: bool) -> str:
    """Return where labels come from: only `heritage collect` records rules."""
    place = "" if published else " in `overrides.csv`"
    if any(kept.column("rule")):
        return (
            "Labels are the museums' own, or follow from the rule in the manifest's column `rule`; nobody "
            f"annotated images by hand, except for a curator's decisions on single photographs{place}. "
        )
    return (
        "Labels are those of the folders or the table that the photographs came in, except for a curator's "
        f"decisions on single photographs{place}. "
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
        f"- Intended for recognising an artefact's {_recognised(kept)}, and for studying the limits of that.",
        "- Not intended for decisions on authenticity, provenance or ownership.",
    ]
    sizes = [count for count in kept.counts().values() if count]
    if sizes and max(sizes) > _IMBALANCED * min(sizes):
        limits.append(
            f"- Classes are imbalanced ({min(sizes):,} to {max(sizes):,} photographs): report macro averages "
            "and confidence intervals, not accuracy alone."
        )
    if len(museums) > 1 and only:
        limits.append(
            f"- {markdown(', '.join(only))} come from one museum each: a classifier can learn the style of "
            "the museum's photographs instead of the artefacts. `split.by=museum` measures this."
        )
    limits += [f"- {markdown(remark)}" for remark in about["remarks"]]
    return "## Uses and limits\n\n" + "\n".join(limits)


def _recognised(kept: Manifest) -> str:
    return "civilisation" if set(kept.classes) <= CIVILISATIONS.keys() else "class"


def _use(place: PublishedPlace | None, *, images: bool) -> str:
    """Return how to load the data set, and what its columns hold."""
    if not images:
        return (
            "## Use\n\nThe images are not part of it: the manifest's column `image_url` names their sources."
        )
    repo = place.repo if place is not None else None
    columns = {"image": "the photograph", "label": "the class", **TEXT_COLUMNS}
    rows = "\n".join(f"| {markdown(name)} | {text} |" for name, text in columns.items())
    return (
        "## Use\n\n```python\nimport datasets\n\n"
        f'photographs = datasets.load_dataset("{repo or "path/to/this/folder"}")\n'
        'photographs["train"][0]["image"]\n```\n\n'
        f"| column | content |\n|---|---|\n{rows}\n\n"
        "`heritage train data=folder data.root=<this folder>` trains on it; `croissant.json` describes it "
        "for other programs."
    )


def _citation(place: PublishedPlace | None) -> str:
    if place is None or place.bibtex is None:
        return ""
    return f"## Citation\n\n```bibtex\n{place.bibtex}\n```"


def _access(about: Mapping[str, Any], *, published: bool) -> str:
    rows = "one row per photograph" + ("" if published else ", kept or dropped")
    text = (
        "## Files and maintenance\n\n"
        f"`manifest.parquet` has {rows}; `dataset.json` the fingerprint, counts and settings"
    )
    made = f"Made with heritage {about['heritage']}. Photographs show objects, not people"
    if published:
        return f"{text}.\n\n{made}."
    return (
        f"{text}; `images/CLASSID_MUSEUM_UNIQUEID.jpg` the images. "
        "The data set can be rebuilt from its manifest and the raw photographs:\n\n"
        "    heritage curate raw=rebuild raw.dataset=<this> raw.root=<photographs> out=<new>\n\n"
        f"{made}; requests for removal are handled by a line in `overrides.csv`."
    )
