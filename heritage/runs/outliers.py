"""``outliers.safetensors``: how far photographs may be from the training images.

Fitted by `heritage evaluate` and stored beside ``calibration.json``, for the commands that predict. Runs of
earlier versions have no such file, and nothing is claimed about their photographs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors
from pydantic import Field
from safetensors.numpy import save_file

from heritage.core.array_checksum import array_checksum
from heritage.core.bounded_read import require_regular
from heritage.core.files import atomic_path
from heritage.core.json_files import Count, JsonModel, Number, parsed_json
from heritage.errors import CheckpointError
from heritage.metrics.outliers import Features, Floats, Method, OutlierScore
from heritage.runs.files import OUTLIERS_FILE, variant_file

UNLIKE = "unlike_training"
"""The prediction in place of a class for a photograph that is unlike the training images."""

_KEY = "heritage_outliers"
_VERSION = 1
_MAX_BYTES = 32 << 20
_ARRAYS: dict[Method, dict[str, int]] = {
    "knn": {"bank": 2},
    "mahalanobis": {"means": 2, "basis": 2, "variances": 1},
}


class _Record(JsonModel):
    version: Literal[1]
    method: Method
    threshold: float = Field(gt=0, allow_inf_nan=False)
    images: Count
    groups: Count
    fingerprint: str = Field(max_length=200)
    weights: str = Field(max_length=200)
    measured: dict[Method, Number | None]
    crc32: str = Field(max_length=8)


@dataclass(frozen=True)
class OutlierRule:
    """A score with its threshold.

    Attributes:
        score: The fitted score.
        threshold: The score up to which a photograph is like the training images.
        images: Validation images that it was fitted on.
        groups: Their groups.
        fingerprint: Fingerprint of the data set.
        weights: Digest of the network before its classifier.
        measured: Mean AUROC on validation of each method, with each class held out in turn; None if it could
            not be measured.
    """

    score: OutlierScore
    threshold: float
    images: int
    groups: int
    fingerprint: str
    weights: str
    measured: dict[Method, float | None]

    def relative(self, features: Features) -> Floats:
        """Return scores (N,) of features (N, D) as multiples of the threshold; NaN where not finite."""
        return self.score.scores(features) / self.threshold


def is_unlike(score: float | None) -> bool:
    """Return whether a score relative to its threshold is that of a photograph unlike the training images."""
    return score is not None and bool(score > 1)


def write_outliers(rule: OutlierRule, folder: Path, variant: str = "") -> Path:
    """Write ``outliers.safetensors`` into a run folder, atomically.

    Args:
        rule: What was fitted.
        folder: The run folder.
        variant: The views that it is for, as for `heritage.runs.calibration.write_calibration`.
    """
    arrays = {name: _stored(name, value) for name, value in rule.score.arrays.items()}
    record = {
        "version": _VERSION,
        "method": rule.score.method,
        "threshold": rule.threshold,
        "images": rule.images,
        "groups": rule.groups,
        "fingerprint": rule.fingerprint,
        "weights": rule.weights,
        "measured": rule.measured,
        "crc32": array_checksum(*_in_order(arrays)),
    }
    path = folder / variant_file(OUTLIERS_FILE, variant)
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={_KEY: json.dumps(record)})
    return path


def read_outliers(folder: Path, variant: str = "") -> OutlierRule | None:
    """Return the outlier rule of a run folder; None if there is no file.

    Args:
        folder: The run folder.
        variant: As for `write_outliers`.

    Raises:
        CheckpointError: The file is damaged, or of a later version.
    """
    path = folder / variant_file(OUTLIERS_FILE, variant)
    if not path.exists():
        return None
    try:
        record, stored = _read(path)
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"unreadable outlier score ({type(error).__name__}: {error})",
            where=path,
            remedy="fit it again with `heritage evaluate`, or predict with outliers=false",
        ) from error
    score = OutlierScore(record["method"], {name: value.astype(np.float32) for name, value in stored.items()})
    return OutlierRule(
        score,
        float(record["threshold"]),
        record["images"],
        record["groups"],
        record["fingerprint"],
        record["weights"],
        record["measured"],
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """Return the record and the arrays of a file; a `ValueError` if they are damaged."""
    require_regular(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES >> 20} MB")
    with safetensors.safe_open(path, framework="numpy") as opened:
        record = parsed_json((opened.metadata() or {}).get(_KEY, "").encode(), _Record)
        expected = _ARRAYS[record["method"]]
        if names := set(opened.keys()) ^ set(expected):
            raise ValueError(
                f"other arrays than those of {record['method']}: {', '.join(sorted(names))[:80]}"
            )
        stored = {name: opened.get_tensor(name) for name in expected}
    _check(stored, expected, record["crc32"])
    return record, stored


def _check(arrays: dict[str, npt.NDArray[np.float32]], expected: dict[str, int], checksum: str) -> None:
    """Raise a `ValueError` unless arrays have the shapes and numbers of a score."""
    for name, value in arrays.items():
        if value.dtype.kind != "f" or value.ndim != expected[name] or not value.size:
            raise ValueError(f"{name} has another shape or type")
        if not np.isfinite(value).all():
            raise ValueError(f"{name} has numbers that are not finite")
    if array_checksum(*_in_order(arrays)) != checksum:
        raise ValueError("its checksum differs")
    if "means" in arrays:
        (_, width), basis, variances = arrays["means"].shape, arrays["basis"], arrays["variances"]
        if basis.shape[0] != width or variances.shape != (basis.shape[1] + 1,) or variances.min() <= 0:
            raise ValueError("its arrays do not belong together")


def _stored(name: str, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    kind = np.float16 if name == "bank" else np.float32  # components of unit vectors
    return np.ascontiguousarray(value, dtype=kind)


def _in_order(arrays: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    return [arrays[name] for name in sorted(arrays)]
