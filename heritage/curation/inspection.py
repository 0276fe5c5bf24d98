"""Inspect one photograph: read, measure, hash and resize it.

This runs in the worker processes, so it imports nothing that is slow to import.
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

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import FORMATS, Pixels, decode, encode_jpeg
from heritage.core.resizing import Resizing
from heritage.curation.phash import perceptual_hash, signature
from heritage.errors import ImageError

LARGEST_FILE = 512 * 2**20
"""Larger files, in bytes, are not read."""

TEMPORARY = ".part"

_THUMBNAIL_SIDE = 128  # pixels; photographs are measured at this size
_GREY_SPREAD = 6  # greyscale: the channels of 99 % of the pixels differ by less than this


@dataclass(frozen=True, slots=True)
class InspectionTask:
    """A photograph to inspect: its row, its file, and the file of the resized copy."""

    row: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """The measurements of a photograph; if there is a `problem`, the fields after it are not set.

    Attributes:
        row: The row of the source.
        raw_bytes: Size of the raw file.
        modified_ns: Modification time of the raw file.
        problem: The reason for which it cannot be used; empty if it can.
        raw_sha256: Checksum of the raw file.
        raw_width: Width of the raw photograph, in pixels.
        raw_height: Height of the raw photograph, in pixels.
        phash: 64-bit perceptual hash.
        signature: Grey thumbnail of 256 bytes for comparison (`heritage.curation.phash.signature`).
        brightness: Mean luma, 0 to 255.
        contrast: Largest range of a channel between its 1st and 99th percentile, 0 to 255.
        greyscale: Whether it has no colours.
        sha256: Checksum of the resized JPEG.
        bytes: Size of the resized JPEG.
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
    """Inspect several photographs, the chunk of work of a process."""
    return [inspect(task, resizing) for task in tasks]


def inspect(task: InspectionTask, resizing: Resizing) -> Inspection:
    """Inspect a photograph and write its resized copy.

    A fault of the photograph is returned as the `problem` of the result; a fault in writing is raised.

    Raises:
        OSError: The copy cannot be written.
    """
    source = Path(task.source)
    try:
        status = source.stat()
        if fault := _fault_of_file(status):
            return Inspection(task.row, problem=fault)
        data = read_bounded(source)
    except FileNotFoundError:
        return Inspection(task.row, problem="missing: no such file")
    except OSError as error:
        return Inspection(task.row, problem=f"unreadable: {error.strerror or error}")
    measured = {
        "raw_bytes": len(data),
        "modified_ns": status.st_mtime_ns,
        "raw_sha256": hashlib.sha256(data).hexdigest(),
    }
    try:
        pixels = decode(data, name=source, at_least=resizing.min_decode_side)
    except ImageError as error:
        return Inspection(task.row, problem=f"unreadable: {error.what}", **measured)  # type: ignore[arg-type]
    encoded = encode_jpeg(resizing(pixels), quality=resizing.quality)
    write_atomically(Path(task.target), encoded)
    width, height = _full_size(data, pixels)
    # All measurements are of coarse features: one reduction serves all of them.
    thumbnail = np.asarray(
        cv2.resize(pixels, (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    brightness, contrast, greyscale = _colour_statistics(thumbnail)
    return Inspection(
        task.row,
        **measured,  # type: ignore[arg-type]
        raw_width=width,
        raw_height=height,
        phash=perceptual_hash(thumbnail),
        signature=signature(thumbnail).tobytes(),
        brightness=brightness,
        contrast=contrast,
        greyscale=greyscale,
        sha256=hashlib.sha256(encoded).hexdigest(),
        bytes=len(encoded),
    )


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file that is complete or absent, also after a kill or on a full disk.

    Unlike `heritage.core.files.atomic_path`, it does not sync the disk, which would take hours for a quarter
    of a million images; after a power failure their sizes are compared with the record.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _fault_of_file(status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "unreadable: it is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "unreadable: it is not a regular file"  # reading a pipe would never end
    if status.st_size == 0:
        return "unreadable: the file is empty"
    if status.st_size > LARGEST_FILE:
        return f"unreadable: {status.st_size / 2**20:,.0f} MiB is too large for a photograph"
    return ""


def _full_size(data: bytes, pixels: Pixels) -> tuple[int, int]:
    """Return width and height before any reduction, in the orientation of the decoded pixels."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
    rotated = (pixels.shape[1] > pixels.shape[0]) != (width > height)
    return (height, width) if rotated and width != height else (width, height)


def _colour_statistics(thumbnail: Pixels) -> tuple[float, float, bool]:
    """Return brightness, contrast and whether it is greyscale (see `Inspection`)."""
    # Half the size: grain and JPEG noise must not count as contrast.
    small = cv2.resize(
        thumbnail, (_THUMBNAIL_SIDE // 2, _THUMBNAIL_SIDE // 2), interpolation=cv2.INTER_AREA
    ).reshape(-1, 3)
    luma = small @ np.array([0.299, 0.587, 0.114])
    low, high = np.percentile(small, [1, 99], axis=0)
    spread = small.max(axis=1).astype(np.int16) - small.min(axis=1)
    return float(luma.mean()), float((high - low).max()), bool(np.percentile(spread, 99) < _GREY_SPREAD)
