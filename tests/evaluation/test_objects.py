"""The report's comparison of objects with single photographs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from heritage.evaluation.assessment import Assessment
from heritage.evaluation.objects import object_result


def assessed(objects: list[str | None], groups: list[str], targets: list[int]) -> Assessment:
    first = np.tile([0.9, 0.45], len(targets))[: len(targets)]
    probabilities = np.column_stack([first, 1 - first])
    manifest = SimpleNamespace(column=lambda name: objects if name == "object_id" else groups)
    settings = SimpleNamespace(resamples=50, seed=0)
    fake: Any = SimpleNamespace(
        manifest=manifest, groups=groups, calibrated=probabilities, targets=np.array(targets),
        settings=settings,
    )  # fmt: skip
    return cast("Assessment", fake)


def test_the_table_has_the_gain_and_names_mixed_objects() -> None:
    names = [f"vase {k // 2}" for k in range(12)]
    result = object_result(assessed(list(names), names, [0] * 10 + [0, 1]))
    assert result.verdict == "Accuracy by object: 1.000 instead of 0.500 by single photograph."
    assert result.rows[0] == ("accuracy", "0.500", "1.000", "+0.500", "+0.500 – +0.500")
    assert "1 object with photographs of different classes left out: vase 5." in result.words
    assert result.record["column"] == "object_id"


def test_objects_are_groups_without_their_column_and_may_have_one_photograph() -> None:
    result = object_result(assessed([None] * 4, ["a", "b", "c", "d"], [0, 0, 1, 1]))
    assert result.verdict == "There is nothing to combine."
    assert not result.rows
    assert "column group_id" in result.words
