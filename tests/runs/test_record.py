"""Readers of the records of a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heritage.errors import CheckpointError
from heritage.runs.read_predictions import images_seen, split_of
from heritage.runs.record import read_config, read_json, write_metrics


def test_a_configuration_is_read_with_the_current_names(tmp_path: Path) -> None:
    old = "wished_precision: 0.9\ndata:\n  split:\n    _target_: heritage.data.split.by_image\n"
    (tmp_path / "config.yaml").write_text(old)
    assert read_config(tmp_path)["target_precision"] == 0.9
    assert split_of(tmp_path) == "by_image"


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n", "\x00", "a: &b 1", "a: *b", "a: !!python/name:os.system", "1: a", "[" * 500]
)
def test_a_damaged_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.yaml: unreadable configuration") as error:
        read_config(tmp_path)
    assert "\n" not in str(error.value)
    assert split_of(tmp_path) == "unknown"


def test_metrics_are_written_without_nan_and_read_again(tmp_path: Path) -> None:
    write_metrics({"accuracy": 0.5, "macro_auroc": float("nan"), "pair": [float("nan"), 1.0]}, tmp_path)
    record = read_json(tmp_path, "metrics.json")
    assert record == {"accuracy": 0.5, "macro_auroc": None, "pair": [None, 1.0]}
    assert images_seen(tmp_path) is None
    write_metrics({"images_seen": 7}, tmp_path)
    assert images_seen(tmp_path) == 7


def test_a_missing_file_is_empty_and_a_damaged_one_an_error(tmp_path: Path) -> None:
    assert read_json(tmp_path, "data.json") == {}
    for text in ("{", json.dumps([1])):
        (tmp_path / "data.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"data\.json: unreadable"):
            read_json(tmp_path, "data.json")
    assert images_seen(None) is None
