"""The result of a build and its folder, which is a valid data set only when it is complete.

``dataset.json`` is removed before anything is changed and written last: without it the folder is not a data
set.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.attribution import ATTRIBUTION_FILE, attribution
from heritage.core.class_names import CLASS_NAMES_FILE
from heritage.core.croissant import CROISSANT_FILE, write_croissant
from heritage.core.csv_files import csv_text, is_inert
from heritage.core.files import write_text
from heritage.core.locks import locked
from heritage.core.manifest import DATASET_FILE, MANIFEST_FILE, SCHEMA, SPLITS, Manifest
from heritage.core.overrides import Override
from heritage.core.split_tables import SPLIT_TABLES, write_split_tables
from heritage.core.table_reader import read_table
from heritage.core.text_encoding import decode_text
from heritage.core.verdicts import VERDICTS_FILE
from heritage.core.version import __version__
from heritage.curation.dataset_card import card
from heritage.curation.duplicates import DuplicateClusters
from heritage.curation.leak_check import LeakCheck
from heritage.curation.options import CurationOptions
from heritage.curation.raw_sources import RawImages
from heritage.errors import ConfigError

log = logging.getLogger(__name__)

STATE = ".curation"
"""The subfolder for the state that a later build needs: inspections and splits."""

_OWN_FILES = frozenset(
    {STATE, "images", "packed", MANIFEST_FILE, DATASET_FILE, "README.md", ATTRIBUTION_FILE, "report.html",
     "counts.png", "counts.pdf", "distributions.png", "distributions.pdf", "overrides.csv", VERDICTS_FILE,
     CLASS_NAMES_FILE, CROISSANT_FILE, *SPLIT_TABLES.values()}
)  # fmt: skip
_NOT_IN_MANIFEST = ("expected_sha256", "raw_problem")  # the manifest has them as `raw_sha256` and `reason`
_COMPARED = ("cleaning", "duplicates", "groups", "split", "resize")


@dataclass(frozen=True)
class CurationResult:
    """The result of a build.

    Attributes:
        table: All photographs of the source, kept and dropped.
        kept: The manifest of the photographs that are kept.
        leaks: The leaks between splits.
        duplicates: Clusters of rows of ``table`` with the same photograph.
        dropped: Number of dropped photographs by reason.
        overrides: The curator's decisions by raw file.
        stale: Reasons for which overrides do not apply, by raw file.
        remarks: Remarks for the curator, a sentence each.
    """

    table: pa.Table
    kept: Manifest
    leaks: LeakCheck
    duplicates: DuplicateClusters
    dropped: dict[str, int]
    overrides: dict[str, Override]
    stale: dict[str, str]
    remarks: tuple[str, ...]


@contextlib.contextmanager
def lock_output(out: Path, raw_root: Path) -> Iterator[None]:
    """Create and lock the data set's folder while the block runs.

    Raises:
        ConfigError: The folder has other files in it, is inside the folder of raw photographs or contains it,
            or cannot be written.
        BusyError: Another build is using it.
    """
    inside, outside = out.resolve(), raw_root.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        outer = outside if outside in (inside, *inside.parents) else inside
        raise ConfigError(
            "one of the data set's folder and the raw photographs' folder is inside the other",
            where=out,
            remedy=f"give a folder beside it: {shlex.quote(f'out={outer}-{inside.name}')}",
        )
    if out.is_dir() and (foreign := sorted({path.name for path in out.iterdir()} - _OWN_FILES)):
        raise ConfigError(
            f"the folder has other files in it ({', '.join(foreign[:3])})",
            where=out,
            remedy="give a folder that is new or empty: out=<folder>",
        )
    with locked(out / STATE / "lock"):
        yield


def invalidate(out: Path) -> None:
    """Remove ``dataset.json``, so that the folder is not a data set while it is changed."""
    (out / DATASET_FILE).unlink(missing_ok=True)


def manifest_table(raw: RawImages, computed: Mapping[str, pa.Array | Sequence[Any]]) -> pa.Table:
    """Combine the source's columns with computed ones: one row per photograph, the schema's columns first."""
    columns = {name: raw.table[name] for name in raw.table.column_names if name not in _NOT_IN_MANIFEST}
    for name, values in computed.items():
        kind = SCHEMA.field(name).type if name in SCHEMA.names else None
        columns[name] = values if isinstance(values, pa.Array) else pa.array(values, kind)
    known = [name for name in SCHEMA.names if name in columns]
    return pa.table({name: columns[name] for name in [*known, *(n for n in columns if n not in known)]})


def kept_manifest(table: pa.Table, out: Path, classes: Sequence[str]) -> Manifest:
    """Return the manifest of the photographs that are kept."""
    return Manifest.build(table.filter(pc.equal(table["status"], "kept")), out, classes)


def publish(
    result: CurationResult,
    options: CurationOptions,
    raw: RawImages,
    overrides: Path | None,
    verdicts: Path | None = None,
) -> None:
    """Write the files beside the images, ``dataset.json`` last, and remove images that are not kept.

    Args:
        result: The result of the build.
        options: The options of the build.
        raw: The source.
        overrides: The file of the curator's decisions, which is copied to the data set.
        verdicts: The file of reviewers' verdicts, which is copied, too.
    """
    kept, out = result.kept, options.out
    _remove_unlisted(out, kept)
    write_text(out / ATTRIBUTION_FILE, attribution(kept))
    if overrides is not None:
        _write_decisions(out / "overrides.csv", _as_csv(overrides))
    if verdicts is not None:
        _write_decisions(out / VERDICTS_FILE, _as_csv(verdicts))
    about = {
        "name": options.configuration.get("name"),
        "image_size": options.resize.size,
        "splits": {name: kept.column("split").count(name) for name in SPLITS},
        "groups": len(set(kept.column("group_id"))),
        "photographs": result.table.num_rows,
        "dropped": result.dropped,
        "audit": result.leaks.record(),
        "remarks": list(result.remarks),
        "raw": str(raw.root),
        "heritage": __version__,
        "configuration": dict(options.configuration),
    }
    write_split_tables(kept, out)
    write_croissant(kept, out, name=str(about["name"] or "artefacts"))
    write_text(out / "README.md", card(kept, about))
    kept.write(out, about, table=result.table)


def log_comparison(original: Mapping[str, Any], result: CurationResult, options: CurationOptions) -> None:
    """Log whether a rebuilt data set equals its original, and which options differ if it does not."""
    if original.get("fingerprint") == result.kept.fingerprint:
        log.info("the rebuilt data set equals the original: the fingerprints are the same")
        return
    before, now = original.get("configuration", {}), options.configuration
    different = [
        f"{part}.{name}={value} instead of {(before.get(part) or {}).get(name)}"
        for part in _COMPARED
        for name, value in (now.get(part) or {}).items()
        if name != "_target_" and value != (before.get(part) or {}).get(name)
    ]
    log.warning(
        "the rebuilt data set differs from the original (%s)",
        ", ".join(different) or "photographs or overrides have changed",
    )


def _remove_unlisted(out: Path, kept: Manifest) -> None:
    """Remove images that the manifest does not list."""
    listed = {Path(file).name for file in kept.column("file")}
    for path in (out / "images").iterdir():
        if path.name not in listed:
            path.unlink()


def _as_csv(overrides: Path) -> str:
    """Return a table of overrides as CSV with commas: spreadsheets also write others."""
    data = overrides.read_bytes()
    table = read_table(overrides)
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    text = csv_text(table.column_names, rows)
    if data.startswith(b"file,") and is_inert(decoded := decode_text(data, overrides)):
        return decoded  # as the curator wrote it
    return text


def _write_decisions(path: Path, text: str) -> None:
    """Write a file of decisions; another one there is a curator's work and is kept in the state."""
    if path.is_file() and (before := path.read_bytes()) != text.encode():
        saved = path.parent / STATE / f"{path.stem}-{hashlib.sha256(before).hexdigest()[:8]}.csv"
        path.replace(saved)
        log.warning("%s is replaced; the previous file is %s", path, saved)
    write_text(path, text)
