"""The index of similar objects: one Arrow file with embeddings, credits and thumbnails.

It is complete, so that the page shows the objects with their pictures also after the photographs that the
network was trained on have been moved or removed. Its name holds digests of the network and the data set.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.core.bounded_read import read_bounded
from heritage.core.class_names import read_class_names
from heritage.core.escaping import web_link
from heritage.core.files import atomic_path
from heritage.core.image_io import Pixels, decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.data.module import available_cores
from heritage.errors import ImageError, ManifestError
from heritage.features.compute import Stopped
from heritage.features.neighbours import unit_vectors
from heritage.inference.embeddings import classifier_features, manifest_data
from heritage.prediction.predictor import Predictor
from heritage.server.similar import SimilarObjects

log = logging.getLogger(__name__)

_BLOCK = 1024  # images whose thumbnails are in memory at once
_THUMBNAIL = 256  # pixels of the longer side
_NAMES = b"class_names"

_TEXTS = ("label", "group", "title", "file", "museum", "credit", "licence", "link")
SCHEMA = pa.schema([*((name, pa.string()) for name in _TEXTS), ("thumbnail", pa.large_binary())])
"""The columns of an index, beside ``embedding``."""


class IndexStopped(Exception):  # noqa: N818  no error
    """The index is not needed any more, before it was complete."""


def index_file(cache: Path, weights: str, fingerprint: str) -> Path:
    """Return the file of an index.

    Args:
        cache: The cache folder.
        weights: The SHA-256 of the network's weights.
        fingerprint: The fingerprint of the data set.
    """
    return cache / f"{weights[:16]}-{fingerprint[:16]}.arrow"


def open_index(file: Path) -> SimilarObjects | None:
    """Open an index; None if it does not exist or is damaged. Thumbnails are read when they are needed."""
    if not file.is_file():
        return None
    try:
        with pa.memory_map(str(file)) as mapped:
            table = pa.ipc.open_file(mapped).read_all()
        table.validate(full=True)
        plain = table.select(SCHEMA.names).cast(SCHEMA)
        width = table.schema.field("embedding").type.list_size
        flat = np.concatenate([chunk.flatten().to_numpy() for chunk in table["embedding"].chunks])
        names = json.loads((table.schema.metadata or {}).get(_NAMES, b"{}"))
    except (OSError, ValueError, KeyError, AttributeError, pa.ArrowException) as error:
        log.warning("%s is damaged (%s): computing it again", file, error)
        return None
    return SimilarObjects(plain, flat.reshape(-1, width).astype(np.float32, copy=False), names)


def build_index(
    predictor: Predictor,
    manifest: Manifest,
    file: Path,
    stopped: Callable[[], bool] | None = None,
    *,
    outputs: str | Path | None = None,
) -> SimilarObjects:
    """Open the index of a data set, or compute and write it.

    Args:
        predictor: The network.
        manifest: The data set.
        file: The file of the index.
        stopped: Returns whether to stop. With it, images are read by this thread alone: processes are not
            forked safely beside the threads of a server.
        outputs: ``paths.outputs``, where features that several runs share are kept; None keeps features in
            memory.

    Raises:
        IndexStopped: ``stopped`` returned true; nothing is kept.
        ManifestError: No image of the data set can be read, or its names of classes are damaged.
    """
    names = read_class_names(manifest.root)
    index = open_index(file)
    if index is None:
        embeddings = _embeddings(predictor, manifest, outputs, stopped)
        _write(embeddings, manifest, file, {_NAMES: json.dumps(names).encode()})
        index = open_index(file)
    if index is None:
        raise ManifestError(
            "no image has an embedding", where=manifest.root, remedy="check the images, or set similar=false"
        )
    return SimilarObjects(index.table, index.embeddings, names)


def _write(
    blocks: Iterator[tuple[list[int], npt.NDArray[np.float32]]],
    manifest: Manifest,
    file: Path,
    metadata: dict[bytes, bytes],
) -> None:
    """Write an index in blocks, so that memory does not depend on the size of the data set."""
    writer = None
    with (
        atomic_path(file) as temporary,
        ThreadPoolExecutor(available_cores()) as threads,
        temporary.open("wb") as opened,
    ):
        for rows, embeddings in blocks:
            thumbnails = list(threads.map(lambda row: small_image(manifest, row, _THUMBNAIL), rows))
            texts = [_texts(manifest, row) for row in rows]
            columns = [pa.array([text[name] for text in texts], pa.string()) for name in _TEXTS]
            width = embeddings.shape[1]
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), width)
            schema = SCHEMA.append(pa.field("embedding", vectors.type)).with_metadata(metadata)
            if writer is None:
                writer = pa.ipc.new_file(opened, schema)
            arrays = [*columns, pa.array(thumbnails, pa.large_binary()), vectors]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
        if writer is not None:
            writer.close()


def _embeddings(
    predictor: Predictor,
    manifest: Manifest,
    outputs: str | Path | None,
    stopped: Callable[[], bool] | None,
) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
    """Yield rows and normalised embeddings of the images that have one, in blocks."""
    workers = None if stopped is None else 0
    data = manifest_data(predictor.trained, manifest, num_workers=workers)
    features = classifier_features(predictor.trained, data, predictor.device, outputs)
    try:
        features.compute(description="computing embeddings", retry=True, stopped=stopped)
    except Stopped as error:
        raise IndexStopped from error
    for start in range(0, len(manifest), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(manifest)))
        kept, block = features.of(rows)
        if len(kept):
            yield rows[kept].tolist(), unit_vectors(block).astype(np.float32)


def _texts(manifest: Manifest, row: int) -> dict[str, str | None]:
    def value(column: str) -> Any:
        return manifest.table[column][row].as_py() if column in manifest.table.column_names else None

    museum = value("museum")
    link = web_link(value("permalink")) or web_link(value("source_url"))
    return {
        "label": str(value("class")),
        "group": str(value("group_id")),
        "title": value("title") or value("object_name"),
        "file": str(value("raw_file") or value("file")).rpartition("/")[2],  # as its owner knows it
        "museum": manifest.museum(museum).name if museum else None,
        "credit": value("credit"),
        "licence": value("licence"),
        "link": link or None,
    }


def small_image(manifest: Manifest, row: int, side: int) -> bytes | None:
    """Return an image of a data set as a small JPEG file; None if it cannot be read.

    Args:
        manifest: The data set.
        row: The row of the manifest.
        side: Pixels of the longer side at most.
    """
    path = manifest.root / manifest.table["file"][row].as_py()
    try:
        return encode_jpeg(_shrink(decode(read_bounded(path), name=path, at_least=side), side), quality=85)
    except (ImageError, OSError):
        return None


def _shrink(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
