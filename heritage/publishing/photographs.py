"""A data-set folder as a publication: photographs whose licence permits it, with credits and metadata.

Everything but the photographs is written again from the manifest: nothing else of the folder goes along, and
no path of this machine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from heritage.core.attribution import ATTRIBUTION_FILE, attribution, licence_counts
from heritage.core.croissant import write_croissant
from heritage.core.escaping import one_line
from heritage.core.files import write_text
from heritage.core.json_files import Count, JsonModel, read_json_file
from heritage.core.licences import open_licence, refusal
from heritage.core.manifest import DATASET_FILE, MANIFEST_FILE, SCHEMA, SPLITS, Manifest
from heritage.core.parquet_files import read_parquet
from heritage.core.split_tables import write_split_tables
from heritage.core.version import __version__
from heritage.curation.dataset_card import PublishedPlace, card
from heritage.curation.drop_reasons import REASONS
from heritage.errors import ManifestError, PublishError
from heritage.publishing.machine_paths import without_paths
from heritage.publishing.options import PublishOptions
from heritage.publishing.publication import Publication, PublishedFile, count_of, files_in

_PER_FOLDER = 10_000  # files in a folder of the hub
_SHOWN = 3


class _Audit(JsonModel):
    clean: bool
    groups: Count
    objects: Count
    near_duplicates: Count
    compared: Count


class _Resize(JsonModel):
    way: str = Field(pattern="^(stretch|crop|pad)$")
    size: Count
    quality: Count


class _Split(JsonModel):
    by: str
    seed: int


class _Configuration(JsonModel):
    resize: _Resize
    split: _Split


class CuratedRecord(JsonModel):
    """``dataset.json`` of a folder that `heritage curate` wrote, as far as its card needs it."""

    name: str | None = None
    image_size: Count
    photographs: Count
    dropped: dict[str, Count]
    audit: _Audit
    remarks: list[str]
    configuration: _Configuration


def dataset_publication(options: PublishOptions, folder: Path) -> Publication:
    """Write everything that is published of a data set, except its images, into an empty folder.

    Args:
        options: The options; ``data.root`` names the data-set folder.
        folder: The folder to write, which must remain until the files are sent.

    Raises:
        DataError: The folder is not one that `heritage curate` wrote, or lacks images.
        PublishError: A photograph's licence does not permit publication.
    """
    root = options.root
    if root is None:
        raise ValueError("data.root is given")
    whole = Manifest.read(root)
    about = _about(root)
    rights = _Rights.of(whole, options.licence)
    notes = list(_permitted(rights, whole, root, options))
    images = options.refused != "manifest"
    chosen = whole.take(rights.open_rows) if images else whole
    if not len(chosen):
        raise PublishError(
            "no photograph has a licence that permits publication",
            where=root,
            remedy="refused=manifest publishes the manifest alone",
        )
    chosen = _with_licence(chosen, options.licence)
    names, chosen = _renamed(chosen)
    title = options.title or about["name"] or root.resolve().name
    record = _record(about, chosen, title, notes)
    url = None
    if options.repo is not None and options.endpoint is None:
        url = f"https://huggingface.co/datasets/{options.repo}"
    if images:
        _require_images(root, names, chosen)
        _require_other_content(rights, whole, root, names)
        write_split_tables(chosen, folder)
        write_croissant(chosen, folder, name=title, url=url, citation=options.citation)
    write_text(folder / ATTRIBUTION_FILE, attribution(chosen))
    write_text(
        folder / "README.md",
        card(
            chosen,
            record,
            images=images,
            place=PublishedPlace(options.repo, options.citation.bibtex(title, url)),
        ),
    )
    chosen.write(folder, record)
    files = files_in(folder)
    if images:
        files += [PublishedFile(new, root / old) for old, new in names.items()]
    if chosen.drawn:
        notes.append(f"{count_of(chosen.drawn, 'image')} of the demo set are drawings, not photographs.")
    identifiers = {licence.identifier for text in licence_counts(chosen) if (licence := open_licence(text))}
    return Publication(
        "dataset",
        title,
        f"{count_of(len(chosen), 'photograph')} of museum artefacts. Classes: {', '.join(chosen.classes)}.",
        identifiers.pop() if len(identifiers) == 1 else None,
        tuple(files),
        licence_counts(chosen),
        tuple(notes),
    )


class _Rights:
    """Which rows of a manifest may be published.

    Attributes:
        open_rows: Rows whose licence permits it.
        refused: Rows whose licence does not, with the licence as recorded.
    """

    def __init__(self, open_rows: np.ndarray[Any, np.dtype[np.int64]], refused: dict[int, str]) -> None:
        self.open_rows, self.refused = open_rows, refused

    @classmethod
    def of(cls, manifest: Manifest, own: str | None) -> _Rights:
        """Look up each row's licence; ``own`` is that of rows without one."""
        licences = [str(text or own or "") for text in manifest.column("licence")]
        refused = {row: text for row, text in enumerate(licences) if open_licence(text) is None}
        rows = [row for row in range(len(licences)) if row not in refused]
        return cls(np.array(rows, dtype=np.int64), refused)


def _permitted(rights: _Rights, manifest: Manifest, root: Path, options: PublishOptions) -> list[str]:
    """Return notes about photographs that are left out.

    Raises:
        PublishError: There are some, and no option says what to do about them.
    """
    if not rights.refused:
        return []
    counts = Counter(f"{text or 'no licence recorded'} ({refusal(text)})" for text in rights.refused.values())
    named = "; ".join(f"{one_line(name)}: {count:,}" for name, count in counts.most_common(_SHOWN))
    total = count_of(len(rights.refused), "photograph")
    if options.refused == "leave_out":
        return [f"{total} left out, because the licence does not permit publication: {named}."]
    if options.refused == "manifest":
        return [f"The manifest is published without images; {total} could not be: {named}."]
    row, text = next(iter(rights.refused.items()))
    file = manifest.column("file")[row]
    place = read_parquet(root / MANIFEST_FILE)["file"].to_pylist().index(file) + 1
    remedy = "refused=leave_out publishes the others, refused=manifest the manifest alone"
    if any(not text for text in rights.refused.values()):
        remedy += "; licence=<SPDX identifier> is for photographs of your own that record none"
    raise PublishError(
        f"row {place} ({file}): {refusal(text)}{f' ({text})' if text else ''}, so it may not be published; "
        f"{total} in all: {named}",
        where=root / MANIFEST_FILE,
        remedy=remedy,
    )


def _about(root: Path) -> dict[str, Any]:
    path = root / DATASET_FILE
    try:
        about: dict[str, Any] = read_json_file(path, CuratedRecord)
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"not the record of a data set that `heritage curate` wrote ({error})",
            where=path,
            remedy="curate the photographs, and publish that folder",
        ) from error
    return about


def _with_licence(manifest: Manifest, own: str | None) -> Manifest:
    """Return a manifest with the schema's columns alone, and the owner's licence where none is recorded."""
    known = [name for name in manifest.table.column_names if name in SCHEMA.names]
    table = manifest.table.select(known)
    if own is not None:
        licences = [text or own for text in manifest.column("licence")]
        place = table.column_names.index("licence") if "licence" in table.column_names else None
        values = pa.array(licences, pa.string())
        table = (
            table.append_column("licence", values)
            if place is None
            else table.set_column(place, "licence", values)
        )
    used = [name for name, count in manifest.counts().items() if count]
    return Manifest(
        Manifest.build(table, manifest.root, used).table, manifest.root, tuple(used), manifest.museums
    )


def _renamed(manifest: Manifest) -> tuple[dict[str, str], Manifest]:
    """Return published names of images by their own, and the manifest with these.

    The hub takes 10,000 files in a folder; more are put into numbered subfolders.
    """
    files: list[str] = manifest.column("file")
    if len(files) <= _PER_FOLDER:
        names = {file: f"images/{Path(file).name}" for file in files}
    else:
        names = {
            file: f"images/{row // _PER_FOLDER:04d}/{Path(file).name}"
            for row, file in enumerate(sorted(files))
        }
    if len(set(names.values())) < len(names):
        names = {file: file if file.startswith("images/") else f"images/{file}" for file in files}
    return names, manifest.with_column("file", [names[file] for file in files])


def _record(about: Mapping[str, Any], chosen: Manifest, title: str, notes: list[str]) -> dict[str, Any]:
    splits = chosen.column("split")
    resize, split = about["configuration"]["resize"], about["configuration"]["split"]
    configuration = {
        "resize": {name: resize[name] for name in ("way", "size", "quality")},
        "split": {name: split[name] for name in ("by", "seed")},
    }
    record = {
        "name": title,
        "image_size": about["image_size"],
        "splits": {name: splits.count(name) for name in SPLITS},
        "groups": len(set(chosen.column("group_id"))),
        "photographs": about["photographs"],
        "dropped": {reason: count for reason, count in about["dropped"].items() if reason in REASONS},
        "audit": about["audit"],
        "remarks": [*about["remarks"], *notes],
        "heritage": __version__,
        "configuration": configuration,
    }
    cleaned: dict[str, Any] = without_paths(record)
    return cleaned


def _require_images(root: Path, names: Mapping[str, str], chosen: Manifest) -> None:
    """Raise an error unless all images exist as regular files, as `heritage curate` wrote them."""
    missing = [file for file in names if not (root / file).is_file()]
    if missing:
        raise ManifestError(
            f"{count_of(len(missing), 'image')} of the manifest missing, such as {missing[0]}",
            where=root,
            remedy="restore them, or curate again",
        )
    changed = [
        file
        for file, sha256 in zip(names, chosen.column("sha256"), strict=True)
        if sha256 and PublishedFile(file, root / file).sha256 != sha256
    ]
    if changed:
        raise PublishError(
            f"{count_of(len(changed), 'image')} changed since the data set was curated, such as "
            f"{changed[0]}, so the recorded licence may be that of another photograph",
            where=root,
            remedy="restore them, or curate again",
        )


def _require_other_content(rights: _Rights, whole: Manifest, root: Path, names: Mapping[str, str]) -> None:
    """Raise an error if a file to be published is, or equals, that of a photograph whose licence forbids it.

    Two rows may name one file in different ways, and a photograph may be in a data set twice.
    """
    files = whole.column("file")
    refused: dict[int, list[int]] = defaultdict(list)
    for row in rights.refused:
        path = root / files[row]
        if path.is_file():
            refused[path.stat().st_size].append(row)
    for file in names:
        own = PublishedFile(file, root / file)
        for row in refused.get(own.size, ()):
            if own.sha256 == PublishedFile(files[row], root / files[row]).sha256:
                licence = one_line(rights.refused[row])
                raise PublishError(
                    f"{file} is the same photograph as {files[row]}, which may not be published "
                    f"({refusal(licence)}{f': {licence}' if licence else ''})",
                    where=root / MANIFEST_FILE,
                    remedy="remove one of them, and curate again",
                )
