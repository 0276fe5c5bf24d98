"""Raw folders and tables: synthetic photographs, no two of them similar, and the faults of real folders."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from heritage.core.image_io import Pixels
from heritage.curation.output import CurationResult


def photograph(seed: int, width: int = 160, height: int = 120) -> Pixels:
    """Return a picture of smooth random shapes in colour."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0, 25, (24, 32, 3)).astype(np.float32), (width, height))
    return np.asarray(np.clip(picture + fine, 0, 255), dtype=np.uint8)


def jpeg(pixels: npt.NDArray[Any], quality: int = 92, **options: object) -> bytes:
    """Encode by Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def write(path: Path, pixels: npt.NDArray[Any], quality: int = 92) -> Path:
    """Write a JPEG, with its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(pixels, quality))
    return path


def class_tree(root: Path, classes: tuple[str, ...] = ("islam", "orient"), each: int = 12) -> Path:
    """Write a tree of sound photographs."""
    for number, name in enumerate(classes):
        for index in range(each):
            write(root / name / f"{name}{index:03d}.jpg", photograph(1000 * number + index))
    return root


def bomb() -> bytes:
    """Return a PNG of 60,000 × 60,000 black pixels in some kilobytes."""
    side = 60_000

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def add_faults(root: Path) -> dict[str, str]:
    """Write one file of each fault into the tree's class ``islam``; return the reason each must get."""
    folder = root / "islam"
    sound = jpeg(photograph(5))
    write(folder / "near.jpg", cv2.resize(photograph(3), (120, 90), interpolation=cv2.INTER_AREA), 70)
    (folder / "truncated.jpg").write_bytes(sound[: len(sound) // 2])
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "empty.jpg").write_bytes(b"")
    write(folder / "pixel.jpg", photograph(70, 1, 1))
    write(folder / "flat.jpg", np.full((120, 160, 3), (200, 190, 180), dtype=np.uint8))
    write(folder / "folder.jpg" / "sound.jpg", photograph(72))
    (folder / "copy.jpg").write_bytes((folder / "islam002.jpg").read_bytes())
    (root / "orient" / "conflict.jpg").write_bytes((folder / "islam001.jpg").read_bytes())
    write(folder / "Ägypten – 花瓶 .jpg", photograph(71))
    for index in range(8):
        card = np.full((120, 160, 3), 235, dtype=np.uint8)
        cv2.putText(card, "no photograph", (12, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (60, 60, 60), 2)
        write(root / ("islam", "orient")[index % 2] / f"card{index}.jpg", card, quality=80 + index)
    return {
        "islam/truncated.jpg": "unreadable",
        "islam/bomb.png": "unreadable",
        "islam/text.jpg": "unreadable",
        "islam/empty.jpg": "unreadable",
        "islam/pixel.jpg": "too small",
        "islam/flat.jpg": "blank",
        "islam/islam002.jpg": "duplicate",
        "islam/islam001.jpg": "label conflict",
        "orient/conflict.jpg": "label conflict",
        **{f"{('islam', 'orient')[index % 2]}/card{index}.jpg": "placeholder" for index in range(8)},
    }


COLUMNS = (
    "raw=table",
    "raw.columns.file=name",
    "+raw.columns.class=kind",
    "+raw.columns.object_id=inventory",
)
"""The options for `table_rows`."""


def table_rows() -> list[dict[str, str]]:
    """Return the rows of a table of 24 photographs of 12 objects in two classes."""
    return [
        {"name": f"{i}.jpg", "kind": ("islam", "orient")[i % 2], "inventory": f"{i // 2:03d}"}
        for i in range(24)
    ]


def write_table(root: Path, rows: list[dict[str, str]]) -> Path:
    """Write ``metadata.csv`` and the images' folder."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def reasons(curated: CurationResult) -> dict[str, str]:
    """Return the reason, without its detail, for each dropped photograph."""
    rows = zip(curated.table["raw_file"].to_pylist(), curated.table["reason"].to_pylist(), strict=True)
    return {file: reason.partition(": ")[0] for file, reason in rows if reason}
