"""The JSON files of a run folder may come from anybody: each wrong type is an error of one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heritage.errors import CheckpointError
from heritage.runs.audits import read_audits
from heritage.runs.calibration import read_calibration
from heritage.runs.history import read_history
from heritage.runs.record import read_json

CALIBRATION: dict[str, Any] = {
    "temperature": 1.0, "threshold": 0.5, "target_precision": 0.9, "ece_before": 0.1, "ece_after": 0.1,
    "fitted_on": {"split": "val", "images": 3, "fingerprint": "f", "groups": 2},
    "held_out": {"folds": 2, "ece_before": 0.1, "ece_after": 0.1},
}  # fmt: skip
AUDIT: dict[str, Any] = {"key": "k", "name": "n", "verdict": "v", "words": "w", "good": True}

CASES: dict[str, tuple[Any, ...]] = {
    "data.json": (
        [], {"counts": None}, {"counts": {"train": [1]}}, {"counts": {"train": {"a": "1"}}},
        {"counts": {"train": {"a": -1}}}, {"counts": {"train": {"a": 10**400}}}, {"fingerprint": 1},
    ),
    "metrics.json": (
        {"macro_avg": []}, {"macro_avg": {"f1": "x"}}, {"accuracy": float("nan")}, {"images": "153"},
        {"classes": ["a"]}, {"classes": {"a": 1}}, {"recipe": {"model": 1}}, {"fold": 3},
        {"images_seen": True},
    ),
    "environment.json": (
        {"git": "x"}, {"git": {"commit": []}}, {"command": "x"}, {"command": [1]}, {"started": 5},
    ),
    "calibration.json": (
        CALIBRATION | {"temperature": "1"}, CALIBRATION | {"temperature": True},
        CALIBRATION | {"threshold": []},
        CALIBRATION | {"fitted_on": None}, CALIBRATION | {"held_out": [1]}, CALIBRATION | {"method": 3},
        CALIBRATION | {"ece_before": float("inf")},
        CALIBRATION | {"fitted_on": {"split": "val", "images": 10**400}},
    ),
    "audits.json": ({}, [1], [{}], [AUDIT | {"rows": [1]}], [AUDIT | {"good": []}], [AUDIT | {"later": 1}]),
}  # fmt: skip
READERS: dict[str, Callable[[Path], Any]] = {"calibration.json": read_calibration, "audits.json": read_audits}


@pytest.mark.parametrize(("name", "content"), [(name, one) for name, many in CASES.items() for one in many])
def test_wrong_types_are_one_line(name: str, content: Any, tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=name) as caught:
        READERS[name](tmp_path) if name in READERS else read_json(tmp_path, name)
    assert "\n" not in str(caught.value)


def test_right_types_are_read(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION))
    (tmp_path / "audits.json").write_text(json.dumps([AUDIT | {"rows": [["a"]]}]))
    calibration = read_calibration(tmp_path)
    assert calibration is not None
    assert calibration.temperature == 1.0
    assert [audit.rows for audit in read_audits(tmp_path)] == [[["a"]]]


@pytest.mark.parametrize("text", ["epoch,loss\n0,x\n", "loss\n1\n", "epoch\n\x00\n", "epoch,loss\n,1\n"])
def test_a_damaged_history_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(CheckpointError, match=r"history\.csv: unreadable"):
        read_history(tmp_path)
