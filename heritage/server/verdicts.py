"""Reviewers' verdicts on predictions, added to a CSV file (`heritage.core.verdicts`).

A verdict names a prediction by its id, and the prediction that is written is the one that this server made.
No photograph is stored.
"""

from __future__ import annotations

import datetime
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from heritage.core.csv_files import csv_text
from heritage.core.escaping import without_hidden
from heritage.core.files import write_text
from heritage.core.locks import locked
from heritage.core.verdicts import COLUMNS
from heritage.errors import BusyError, ConfigError
from heritage.server.schemas import (
    ClassProbability,
    PredictionResponses,
    RequestRefused,
    VerdictRequest,
    busy,
)
from heritage.server.uploads import Upload

log = logging.getLogger(__name__)

MAX_VERDICTS_BYTES = 64 << 20
"""Size of a file of verdicts: some 300,000 lines."""

_REMEMBERED = 10_000  # predictions that can be judged
_PATIENCE = 5.0  # seconds to wait for another server that writes the same file
_HEAD = csv_text(COLUMNS, ()).encode()


@dataclass(frozen=True)
class _Image:
    sha256: str
    size: int
    name: str


@dataclass(frozen=True)
class JudgedPrediction:
    """A prediction that can be judged.

    Attributes:
        images: The photographs that it is based on.
        first: The most probable class.
        unsure: Whether the prediction is unsure.
    """

    images: tuple[_Image, ...]
    first: ClassProbability
    unsure: bool


class RecentPredictions:
    """The latest predictions by their id, without images."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, JudgedPrediction] = OrderedDict()

    def add(self, uploads: Sequence[Upload], responses: PredictionResponses) -> None:
        """Add the predictions of a request."""
        views = []
        for upload, one in zip(uploads, responses.pictures, strict=True):
            if one.ranking:
                image = _Image(one.id, len(upload.data), upload.name)
                views.append(image)
                self._add(one.id, JudgedPrediction((image,), one.ranking[0], bool(one.unsure)))
        whole = responses.object
        if whole is not None and whole.ranking:
            self._add(whole.id, JudgedPrediction(tuple(views), whole.ranking[0], bool(whole.unsure)))

    def get(self, name: str) -> JudgedPrediction:
        """Return a prediction by its id.

        Raises:
            RequestRefused: It is not among the latest: 409.
        """
        if name not in self._known:
            raise RequestRefused(
                409, "unknown_prediction", "The server no longer knows this prediction. Predict it again."
            )
        return self._known[name]

    def _add(self, name: str, prediction: JudgedPrediction) -> None:
        self._known[name] = prediction
        self._known.move_to_end(name)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


class VerdictFile:
    """A file of verdicts that several threads and servers may write.

    Args:
        path: The file; it is created if it does not exist.
        network: The beginning of the SHA-256 of the network's weights.

    Raises:
        ConfigError: It exists and is another file, or cannot be written.
    """

    def __init__(self, path: Path, network: str) -> None:
        self._path = path
        self._network = network
        self._lock = threading.Lock()
        try:
            self._create()
            with path.open("r+b") as file:
                if file.read(len(_HEAD)) != _HEAD:
                    raise ConfigError(
                        "not a file of verdicts", where=f"verdicts={path}", remedy="name another file"
                    )
        except OSError as error:
            raise ConfigError(
                f"cannot be written ({error.strerror})", where=f"verdicts={path}", remedy="name another file"
            ) from error

    def append(self, prediction: JudgedPrediction, verdict: VerdictRequest) -> int:
        """Add a line for each image of a prediction and return their number; on disk when it returns.

        Raises:
            RequestRefused: 503: the file is full, was changed, or cannot be written.
        """
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        label = prediction.first.label if verdict.verdict == "right" else verdict.label
        rows = [
            (
                now, image.sha256, image.size, image.name, prediction.first.label,
                f"{prediction.first.probability:.6f}", str(prediction.unsure).lower(), verdict.verdict,
                label if verdict.verdict != "unknown" else None, without_hidden(verdict.reviewer).strip(),
                self._network,
            )
            for image in prediction.images
        ]  # fmt: skip
        lines = csv_text(COLUMNS, rows).encode()[len(_HEAD) :]
        try:
            with self._lock, locked(self._path.with_name(f".{self._path.name}.lock"), patience=_PATIENCE):
                self._create()  # someone may have moved it away, to replay it
                self._write(lines)
        except BusyError as error:
            raise busy() from error
        except (OSError, ConfigError) as error:
            log.warning("%s: %s", self._path, error)
            raise _unwritable() from error
        return len(rows)

    def _create(self) -> None:
        if not self._path.exists():
            write_text(self._path, _HEAD.decode())

    def _write(self, lines: bytes) -> None:
        with self._path.open("r+b") as file:
            if file.read(len(_HEAD)) != _HEAD:  # saved by a spreadsheet, in another dialect
                log.warning("%s is no longer as it was written: no verdict is added", self._path)
                raise _unwritable()
            end = _end_of_last_line(file)
            if end + len(lines) > MAX_VERDICTS_BYTES:
                raise RequestRefused(503, "verdicts_full", "The file of verdicts is full.")
            try:
                file.truncate(end)
                file.seek(end)
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


def _end_of_last_line(file: IO[bytes]) -> int:
    """Return the position after the last complete line: a crash may have left half a line behind it."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - (1 << 16), 0)
    file.seek(start)
    return start + file.read().rfind(b"\n") + 1


def _unwritable() -> RequestRefused:
    return RequestRefused(503, "verdict_not_saved", "The verdict could not be saved.")
