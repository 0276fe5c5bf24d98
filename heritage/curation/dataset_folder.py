"""The data-set folder: manifest, description and the images of what is kept; written so that it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from heritage.core.files import atomic_path, write_text
from heritage.core.manifest import DATASET_FILE, MANIFEST_FILE, SCHEMA, Manifest
from heritage.curation.raw_sources import RawImages
from heritage.errors import ConfigError, DataError

log = logging.getLogger(__name__)

STATE = ".curation"
"""The folder of what a next build needs: what was seen, and who was dealt where."""

_NOT_KEPT = ("expected_sha256", "raw_problem")  # columns of the source that the manifest says otherwise

_OURS = frozenset(
    {STATE, "images", "packed", MANIFEST_FILE, DATASET_FILE, "README.md", "ATTRIBUTION.md", "report.html",
     "overrides.csv"}
)  # fmt: skip


@contextlib.contextmanager
def lock_output(out: Path, raw_root: Path) -> Iterator[None]:
    """Make the data set's folder, refuse one that is somebody else's, and keep other builds out of it.

    Raises:
        ConfigError: The folder holds other things, lies within the raw photographs, or is being built.
        DataError: It cannot be made.
    """
    inside, outside = out.resolve(), raw_root.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        raise ConfigError(
            "the data set and the raw photographs lie within each other",
            where=out,
            remedy="give another out=",
        )
    if out.is_dir() and (foreign := sorted({path.name for path in out.iterdir()} - _OURS)):
        raise ConfigError(
            f"there are other things in it ({', '.join(foreign[:3])})", where=out, remedy="give another out="
        )
    try:
        (out / STATE).mkdir(parents=True, exist_ok=True)
        lock = (out / STATE / "lock").open("w")
    except OSError as error:
        raise DataError(f"cannot write ({error.strerror})", where=out, remedy="give another out=") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                "another build is at work", where=out, remedy="wait for it, or stop it"
            ) from error
        yield


def invalidate(out: Path) -> None:
    """Take back the description, without which the folder is no data set, before anything is changed."""
    (out / DATASET_FILE).unlink(missing_ok=True)


def manifest_table(raw: RawImages, found: Mapping[str, pa.Array | Sequence[Any]]) -> pa.Table:
    """Put what was found beside what the source says: one row a photograph, the manifest's columns first."""
    columns = {name: raw.table[name] for name in raw.table.column_names if name not in _NOT_KEPT}
    for name, values in found.items():
        kind = SCHEMA.field(name).type if name in SCHEMA.names else None
        columns[name] = values if isinstance(values, pa.Array) else pa.array(values, kind)
    ordered = [name for name in SCHEMA.names if name in columns]
    return pa.table({name: columns[name] for name in [*ordered, *(n for n in columns if n not in ordered)]})


def kept_manifest(table: pa.Table, out: Path, classes: Sequence[str]) -> Manifest:
    """Return the manifest of the images that are kept."""
    return Manifest.build(table.filter(pc.equal(table["status"], "kept")), out, classes)


def remove_unlisted(out: Path, kept: Manifest) -> None:
    """Remove images that the manifest does not name."""
    named = {Path(file).name for file in kept.column("file")}
    for path in (out / "images").iterdir():
        if path.name not in named:
            path.unlink()


def write_decisions(out: Path, text: str) -> None:
    """Put the decisions beside the data set; others that lie there are a curator's work and are kept."""
    path = out / "overrides.csv"
    if path.is_file() and (before := path.read_bytes()) != text.encode():
        saved = out / STATE / f"overrides-{hashlib.sha256(before).hexdigest()[:8]}.csv"
        path.replace(saved)
        log.warning("the decisions that were in %s are kept in %s", path, saved)
    write_text(path, text)


def publish(out: Path, table: pa.Table, kept: Manifest, about: Mapping[str, Any]) -> None:
    """Write the manifest, and last the description: from here on it is a data set."""
    with atomic_path(out / MANIFEST_FILE) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    record = {
        "classes": list(kept.classes),
        "images": len(kept),
        "counts": kept.counts(),
        "fingerprint": kept.fingerprint,
        **kept.museum_record(),
        **about,
    }
    write_text(out / DATASET_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
