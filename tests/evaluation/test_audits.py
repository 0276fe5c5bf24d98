"""Audits detect a shortcut, a background and a leak that were put in, and none that were not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from heritage.comparison.runs import find_runs
from heritage.evaluation.audit_statistics import background_audit, leak_audit, museum_audit
from heritage.evaluation.audits import MaskedInput
from heritage.evaluation.embedding_map import draw_embedding_map
from heritage.features.neighbours import nearest

CLASSES = ("egyptian", "islam", "asian")


def photographs(style: float) -> tuple[np.ndarray, np.ndarray, list[str | None], list[str]]:
    """Return features of photographs of two museums that differ by ``style``, targets, museums and groups."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 240)
    museum = random.integers(0, 2, 240)
    features = random.normal(size=(240, 8))
    features[:, 0] += 4 * targets
    features[:, 1] += style * museum
    codes: list[str | None] = [("MET", "LOUVRE")[index] for index in museum]
    return features, targets, codes, [str(n // 2) for n in range(240)]


@pytest.mark.parametrize("style", [0.0, 6.0])
def test_features_with_a_museum_style_identify_the_museum(style: float) -> None:
    result = museum_audit(*photographs(style), CLASSES)
    assert result.good == (style == 0)
    within = result.record["within"]
    assert set(within) == {"egyptian", "islam"}
    for one in within.values():
        assert one["chance"] == 0.5
        assert (one["told"] > 0.9) == (style > 0)
    assert {(a, b) for a, b, *_ in result.record["across"]} == {("MET", "LOUVRE"), ("LOUVRE", "MET")}
    assert all(value > 0.9 and chance == 0.5 for *_, value, chance in result.record["across"])
    assert result.rows[2][1:] == ["0", "0"]


def test_one_museum_or_one_museum_per_class_cannot_be_audited() -> None:
    features, targets, _, groups = photographs(0)
    alone = museum_audit(features, targets, ["MET"] * 240, groups, CLASSES)
    assert "one museum" in alone.verdict
    assert not alone.good
    coinciding: list[str | None] = [("MET", "LOUVRE")[k] for k in targets]
    tied = museum_audit(features, targets, coinciding, groups, CLASSES)
    assert "cannot be separated" in tied.verdict
    assert "egyptian, islam come from one museum" in tied.words


def test_background_audit_compares_centre_and_border() -> None:
    targets = np.tile([0, 0, 0, 1, 1, 2], 20)
    groups = [str(n // 2) for n in range(120)]
    wrong = np.full(120, 2)
    centred = background_audit(targets, targets, wrong, targets, groups, classes=3, resamples=200)
    assert centred.good
    assert "hardly informative" in centred.verdict
    assert centred.record["centre_hidden"] == pytest.approx(1 / 6)
    low, high = centred.record["intervals"]["centre_hidden"]
    assert low < 1 / 6 < high
    around = background_audit(targets, targets, targets, wrong, groups, classes=3, resamples=200)
    assert not around.good
    assert "more on the border" in around.verdict
    # one object more is not significant
    nearly = wrong.copy()
    nearly[0] = targets[0]
    equal = background_audit(targets, targets, wrong, nearly, groups, classes=3, resamples=200)
    assert "about equally" in equal.verdict
    assert not equal.good


def test_half_of_each_image_is_masked() -> None:
    class Grey(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images == 128).float().mean(dim=(1, 2, 3))

    images = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    parts = [MaskedInput(Grey(), centre=centre)(images) for centre in (True, False)]
    assert parts[0].tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    torch.testing.assert_close(parts[0] + parts[1], torch.ones(2))
    assert images.sum() == 0, "the images themselves are not changed"


def test_a_leak_is_measured(runs: Path) -> None:
    run = find_runs([str(runs / "none")])[0]
    truth = np.eye(len(run.classes))[run.targets]
    poor = replace(run, probabilities=np.roll(truth, 1, axis=0))
    result = leak_audit(poor, replace(run, probabilities=truth), 100)
    assert result.record["difference"] == pytest.approx(1 - poor.correct.mean())
    assert not result.good
    assert leak_audit(run, run, 100).good


def test_nearest_neighbours_have_the_highest_cosine() -> None:
    random = np.random.default_rng(0)
    candidates = random.normal(size=(50, 6))
    queries = 3 * candidates[[4, 9]] + 0.01 * random.normal(size=(2, 6))
    rows, cosines = nearest(queries, candidates, 3)
    assert rows[:, 0].tolist() == [4, 9]
    by_hand = queries @ candidates.T
    by_hand /= np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(candidates, axis=1))
    np.testing.assert_allclose(cosines, np.sort(by_hand, axis=1)[:, ::-1][:, :3])


@pytest.mark.usefixtures("drawn_figures")
def test_a_map_is_drawn(tmp_path: Path) -> None:
    features, targets, *_ = photographs(0)
    draw_embedding_map(features[:40], targets[:40], CLASSES, tmp_path / "map.png", seed=0)
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
