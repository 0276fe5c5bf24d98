"""One photograph: read, measured, hashed and resized, with what is wrong with it in a line.

This is what the worker processes do; it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from heritage.core.image_io import FORMATS, Pixels, decode, encode_jpeg
from heritage.core.resizing import Resizing
from heritage.curation.phash import perceptual_hash, signature
from heritage.errors import ImageError

LARGEST_FILE = 512 * 2**20
"""Files of more bytes are no photographs, whatever their name says."""

TEMPORARY = ".part"

_GLANCE = 128  # pixels a side on which a photograph is measured
_GREY = 6  # channels that differ by less than this nearly everywhere make a greyscale picture


@dataclass(frozen=True, slots=True)
class InspectionTask:
    """A photograph to inspect: its row, its file and the file to write."""

    row: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen of a photograph; the fields after `problem` are meaningless where there is one.

    Attributes:
        row: The row of the source.
        raw_bytes: The raw file's size.
        modified_ns: The raw file's modification time.
        problem: Why it cannot be used, or empty.
        raw_sha256: Of the raw file.
        raw_width: Of the raw photograph, in pixels.
        raw_height: Of the raw photograph, in pixels.
        phash: 64-bit perceptual hash.
        signature: 256 bytes, a grey picture to compare by.
        brightness: Mean luma, 0 to 255.
        contrast: Between the 1st and 99th percentile of any channel, 0 to 255.
        greyscale: Whether it has no colours.
        sha256: Of the resized JPEG.
        bytes: Of the resized JPEG.
    """

    row: int
    raw_bytes: int = 0
    modified_ns: int = 0
    problem: str = ""
    raw_sha256: str = ""
    raw_width: int = 0
    raw_height: int = 0
    phash: int = 0
    signature: bytes = b""
    brightness: float = 0.0
    contrast: float = 0.0
    greyscale: bool = False
    sha256: str = ""
    bytes: int = 0


def inspect_all(tasks: Sequence[InspectionTask], resizing: Resizing) -> list[Inspection]:
    """Inspect several photographs: what a worker process is handed at once."""
    return [inspect(task, resizing) for task in tasks]


def inspect(task: InspectionTask, resizing: Resizing) -> Inspection:
    """Inspect a photograph and write its resized copy.

    A fault of the photograph is the result's `problem`; a fault of the target's disk is raised.

    Raises:
        OSError: The copy cannot be written.
    """
    source = Path(task.source)
    try:
        about = source.stat()
        if fault := _not_a_photograph(about):
            return Inspection(task.row, problem=fault)
        data = source.read_bytes()
    except FileNotFoundError:
        return Inspection(task.row, problem="missing: no such file")
    except OSError as error:
        return Inspection(task.row, problem=f"unreadable: {error.strerror or error}")
    found = {
        "raw_bytes": len(data),
        "modified_ns": about.st_mtime_ns,
        "raw_sha256": hashlib.sha256(data).hexdigest(),
    }
    try:
        pixels = decode(data, name=source, at_least=resizing.min_decode_side)
    except ImageError as error:
        return Inspection(task.row, problem=f"unreadable: {error.what}", **found)  # type: ignore[arg-type]
    encoded = encode_jpeg(resizing(pixels), quality=resizing.quality)
    write_atomically(Path(task.target), encoded)
    width, height = _full_size(data, pixels)
    # All measures are of coarse features: one reduction serves them all.
    glance = np.asarray(cv2.resize(pixels, (_GLANCE, _GLANCE), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    brightness, contrast, greyscale = _look(glance)
    return Inspection(
        task.row,
        **found,  # type: ignore[arg-type]
        raw_width=width,
        raw_height=height,
        phash=perceptual_hash(glance),
        signature=signature(glance).tobytes(),
        brightness=brightness,
        contrast=contrast,
        greyscale=greyscale,
        sha256=hashlib.sha256(encoded).hexdigest(),
        bytes=len(encoded),
    )


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file that is either whole or not there, after a kill or on a full disk.

    Unlike `heritage.core.files.atomic_path` it does not wait for the disk: a quarter of a million images
    would wait for hours, and after a power failure their sizes are checked against the record.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _not_a_photograph(about: os.stat_result) -> str:
    if stat.S_ISDIR(about.st_mode):
        return "unreadable: it is a folder"
    if not stat.S_ISREG(about.st_mode):
        return "unreadable: it is not a regular file"  # a pipe would be read for ever
    if about.st_size == 0:
        return "unreadable: the file is empty"
    if about.st_size > LARGEST_FILE:
        return f"unreadable: {about.st_size / 2**20:,.0f} MiB is too large for a photograph"
    return ""


def _full_size(data: bytes, pixels: Pixels) -> tuple[int, int]:
    """Return width and height before any reduction, as the photograph is meant to be seen."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
    lies = (pixels.shape[1] > pixels.shape[0]) != (width > height)
    return (height, width) if lies and width != height else (width, height)


def _look(glance: Pixels) -> tuple[float, float, bool]:
    """Return brightness, contrast and whether there are no colours."""
    # Half the size again: grain and JPEG noise are not contrast.
    small = cv2.resize(glance, (_GLANCE // 2, _GLANCE // 2), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    luma = small @ np.array([0.299, 0.587, 0.114])
    low, high = np.percentile(small, [1, 99], axis=0)
    spread = small.max(axis=1).astype(np.int16) - small.min(axis=1)
    return float(luma.mean()), float((high - low).max()), bool(np.percentile(spread, 99) < _GREY)
