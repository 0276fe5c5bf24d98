"""What the features of an image depend on: the key of a feature store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from heritage.core.json_files import JsonModel
from heritage.core.manifest import Manifest

Dtype = Literal["float32", "float16"]
"""The numbers of a store: exact, or half the size."""

_DIGEST = r"^[0-9a-f]{64}$"
_NOTHING = "\x1f"


class KeyRecord(JsonModel):
    """The key in ``store.json``."""

    images: str = Field(pattern=_DIGEST)
    root: str = Field(max_length=1 << 12)
    weights: str = Field(pattern=_DIGEST)
    architecture: str = Field(max_length=200)
    image_size: int = Field(ge=1, le=1 << 16)
    crop_pct: float = Field(gt=0, le=1)
    interpolation: str = Field(max_length=40)
    mean: list[float] = Field(min_length=3, max_length=3)
    std: list[float] = Field(min_length=3, max_length=3)
    pixels: str = Field(max_length=40)
    precision: str = Field(max_length=40)
    views: str = Field(max_length=40)
    dtype: Dtype


@dataclass(frozen=True)
class FeatureKey:
    """What features were computed from; equal keys have equal features.

    Attributes:
        images: Digest of the images (`image_digest`): neither of their classes nor of a split.
        root: The data set's folder; empty if the checksums of its images are known.
        weights: Digest of the network before its classifier (`heritage.features.extractor.backbone_digest`).
        architecture: Name of the network.
        image_size: Pixels per side of its input.
        crop_pct: The fraction of each side that the centre crop keeps.
        interpolation: With which images are enlarged.
        mean: Subtracted from each channel.
        std: Divisor of each channel.
        pixels: Where pixels are from: ``files``, or ``packed <side>``.
        precision: Lightning's name of the precision.
        views: The views whose features were averaged.
        dtype: The numbers of the store.
    """

    images: str
    root: str
    weights: str
    architecture: str
    image_size: int
    crop_pct: float
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixels: str
    precision: str
    views: str
    dtype: Dtype

    @property
    def record(self) -> dict[str, object]:
        """The key as plain data, for ``store.json``."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the key."""
        return _digest(self.record)

    @property
    def method(self) -> str:
        """SHA-256 of the key without the images: how features are computed."""
        return _digest({name: value for name, value in self.record.items() if name != "images"})

    def differences(self, other: FeatureKey) -> str:
        """Return how another key differs, for messages; empty if it does not."""
        theirs = other.record
        return ", ".join(
            f"{name} {_short(theirs[name])} instead of {_short(value)}"
            for name, value in self.record.items()
            if theirs[name] != value
        )


def identities(table: pa.Table) -> pa.StringArray:
    """Return what identifies each image of a table: its file, checksum and size, as far as they are known.

    Args:
        table: A manifest's table, or the rows of a store.
    """
    columns = [
        pc.fill_null(pc.cast(table[name], pa.string()), "")
        if name in table.column_names
        else pa.array([""] * table.num_rows, pa.string())
        for name in ("file", "sha256", "bytes")
    ]
    joined = pc.binary_join_element_wise(*columns, _NOTHING)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def store_rows(manifest: Manifest) -> pa.Table:
    """Return the rows of a manifest's store: image_id, file, sha256 and bytes, ordered by file."""
    table = manifest.table
    names = [name for name in ("image_id", "file", "sha256", "bytes") if name in table.column_names]
    rows = table.select(names).combine_chunks()
    return rows.take(pc.sort_indices(rows["file"]))


def image_root(manifest: Manifest) -> str:
    """Return the folder of images that only their names and sizes identify; empty if checksums do."""
    table = manifest.table
    known = "sha256" in table.column_names and not table["sha256"].null_count
    return "" if known else str(manifest.root.resolve())


def image_digest(rows: pa.Table) -> str:
    """Return the SHA-256 of the rows of a store."""
    return hashlib.sha256("\n".join(identities(rows).to_pylist()).encode()).hexdigest()


def _digest(record: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
