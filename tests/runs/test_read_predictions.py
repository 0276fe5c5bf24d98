"""Runs and evaluations as they are compared: predictions, description and fold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.errors import CheckpointError
from heritage.runs.files import METRICS_FILE, PREDICTIONS_FILE
from heritage.runs.read_predictions import read_run


def evaluation(folder: Path, **recipe: Any) -> Path:
    """Write the folder of an evaluation of two images of classes a and b."""
    recipe = {"model": "vit", "optimizer": "adamw", "balance": "none", "seed": 0, "others": []} | recipe
    metrics = {"classes": {"a": {}, "b": {}}, "recipe": recipe, "images_seen": 30}
    (folder / METRICS_FILE).write_text(json.dumps(metrics))
    columns = {"image_id": ["2", "1"], "class": ["b", "a"], "p_a": [0.6, 0.9], "p_b": [0.4, 0.1]}
    pq.write_table(pa.table(columns), folder / PREDICTIONS_FILE)
    return folder


def test_predictions_are_read_in_the_order_of_their_ids(tmp_path: Path) -> None:
    run = read_run(evaluation(tmp_path))
    assert run.images == run.groups == ("1", "2")
    assert run.targets.tolist() == [0, 1]
    assert run.probabilities.tolist() == [[0.9, 0.1], [0.6, 0.4]]
    assert run.correct.tolist() == [True, False]
    assert (run.images_seen, run.fold, run.settings) == (30, None, None)


def test_an_evaluation_of_version_0_1_has_the_current_names_of_its_options(tmp_path: Path) -> None:
    old = ["wished_precision=0.8", "finetune=classifier_anew", "data.stage=/scratch", "retry_failed=true"]
    description = read_run(evaluation(tmp_path, others=old)).description
    assert description.others == ("finetune=new_classifier", "target_precision=0.8")
    assert description.name == "vit adamw none finetune=new_classifier target_precision=0.8"


def test_an_unknown_field_of_a_recipe_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="unreadable recipe"):
        read_run(evaluation(tmp_path, colour="red"))
