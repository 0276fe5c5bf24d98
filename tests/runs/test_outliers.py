"""The file of the score of photographs unlike the training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from heritage.errors import CheckpointError
from heritage.metrics.outliers import METHODS, Method, fit_score
from heritage.runs.outliers import OutlierRule, is_unlike, read_outliers, write_outliers


def fitted(method: Method = "knn") -> OutlierRule:
    rng = np.random.default_rng(0)
    score = fit_score(method, rng.normal(size=(60, 16)), np.arange(60) % 3)
    return OutlierRule(score, 0.5, 100, 40, "data", "weights", {"knn": 0.8, "mahalanobis": None})


@pytest.mark.parametrize("method", METHODS)
def test_what_is_written_is_read(method: Method, tmp_path: Path) -> None:
    rule = fitted(method)
    path = write_outliers(rule, tmp_path, "flip")
    assert path.name == "outliers_flip.safetensors"
    assert path.stat().st_size < 20_000
    assert read_outliers(tmp_path) is None
    read = read_outliers(tmp_path, "flip")
    assert read is not None
    assert (read.threshold, read.images, read.groups, read.measured) == (0.5, 100, 40, rule.measured)
    features = np.random.default_rng(1).normal(size=(5, 16))
    np.testing.assert_allclose(read.relative(features), 2 * rule.score.scores(features), atol=2e-3)


def test_a_score_is_unlike_above_one() -> None:
    assert [is_unlike(one) for one in (None, 0.2, 1.0, 1.01, float("nan"))] == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    path = write_outliers(fitted(), tmp_path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-3] ^= 0x40
    for damaged in (b"", content[:-7], bytes(flipped), content.replace(b"knn", b"svm"),
                    content.replace(b"0.5,", b"-.5,")):  # fmt: skip
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="heritage evaluate"):
            read_outliers(tmp_path)
    path.write_bytes(content)
    save_file(load_file(path), path)  # without the record
    with pytest.raises(CheckpointError, match="outliers=false"):
        read_outliers(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError):
        read_outliers(tmp_path)
