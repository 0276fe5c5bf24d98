"""Whether a network was trained on photographs or on drawings of the demo set.

A run records it in ``data.json`` and in its checkpoints. For runs of earlier versions it is derived from the
reader of the demo set, or from the museum of the test images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from heritage.core.manifest import Manifest
from heritage.core.museums import count_drawn
from heritage.errors import CheckpointError
from heritage.runs.files import DATA_FILE, PREDICTIONS_FILE
from heritage.runs.record import read_json

RECORD = "training_images"
"""The key in ``data.json`` and in checkpoints."""

_DEMO_READER = "heritage.data.readers.demo"


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """The images that a network was trained on.

    Attributes:
        images: Their number; None if it is not known.
        drawn: How many of them are drawings of the built-in museum; None if all are.
    """

    images: int | None
    drawn: int | None

    @classmethod
    def of(cls, manifest: Manifest) -> TrainingImages:
        """Return the record of the images of a training split."""
        return cls(len(manifest), manifest.drawn)

    @classmethod
    def read(cls, recorded: object, where: str | PathLike[str]) -> TrainingImages | None:
        """Return a `RECORD`; None if there is none.

        Args:
            recorded: Its plain data.
            where: The file that it comes from, for the message.

        Raises:
            CheckpointError: It is damaged.
        """
        if recorded is None:
            return None
        if isinstance(recorded, Mapping):
            numbers = [recorded.get(name) for name in ("images", "drawn")]
            if all(number is None or (type(number) is int and number >= 0) for number in numbers):
                return cls(*numbers)
        raise CheckpointError(
            f"{RECORD} is no pair of numbers", where=where, remedy="give one that `heritage train` wrote"
        )

    @property
    def all_drawn(self) -> bool:
        """Whether no image is a photograph."""
        return self.drawn is None or (self.drawn > 0 and self.drawn == self.images)

    def record(self) -> dict[str, int | None]:
        """Return plain data for `RECORD`."""
        return asdict(self)

    def notes(self, initial_weights: object) -> list[str]:
        """Return what users of the network need to know; empty for a network trained on photographs.

        Args:
            initial_weights: ``model.weights`` of the run: ``none``, ``pretrained`` or a file.
        """
        if self.all_drawn:
            seen = "it has seen no photograph"
            if initial_weights not in (None, "none"):
                seen = (
                    "the only photographs it has seen, if any, are those that its initial weights come from"
                )
            trained = "This network was trained on drawings of the demo set only"
            return [f"{trained}: {seen}. Nothing is known about its predictions for photographs."]
        if self.drawn:
            return [f"{self.drawn:,} of the {self.images:,} training images are drawings, not photographs."]
        return []


_PHOTOGRAPHS = TrainingImages(None, 0)


def training_images(
    folder: Path | None, config: Mapping[str, Any], recorded: TrainingImages | None = None
) -> TrainingImages:
    """Return what a network was trained on.

    Args:
        folder: Its run folder; None for a checkpoint that was moved out of one.
        config: The resolved configuration of the run.
        recorded: What the checkpoint recorded, which earlier versions did not.
    """
    if recorded is None and folder is not None:
        recorded = _recorded(folder)
    if recorded is not None:
        return recorded
    reader = (config.get("data") or {}).get("reader") or {}
    if isinstance(reader, Mapping) and reader.get("_target_") == _DEMO_READER:
        return TrainingImages(None, None)
    return TrainingImages(None, None) if folder is not None and _tested_on_drawings(folder) else _PHOTOGRAPHS


def _recorded(folder: Path) -> TrainingImages | None:
    try:
        return TrainingImages.read(read_json(folder, DATA_FILE).get(RECORD), folder / DATA_FILE)
    except CheckpointError:
        return None  # commands that need the file report that it is damaged


def _tested_on_drawings(folder: Path) -> bool:
    """Return whether all test images of a run are drawings, which are never mixed with photographs."""
    path = folder / PREDICTIONS_FILE
    if not path.is_file():
        return False
    try:
        with pq.ParquetFile(path) as file:
            known = [name for name in ("museum", "file") if name in file.schema_arrow.names]
            table = file.read(columns=known)
    except (pa.ArrowInvalid, OSError):
        return False
    drawn = count_drawn(table)
    return drawn > 0 and drawn == len(table)


def drawn_note(images: int, drawn: int) -> list[str]:
    """Return a note about a test set with drawings; empty without them.

    Args:
        images: Number of test images.
        drawn: How many of them are drawings.
    """
    if not drawn:
        return []
    which = "All test images are" if drawn == images else f"{drawn:,} of {images:,} test images are"
    return [f"{which} drawings of the demo set: metrics do not estimate those of photographs."]
