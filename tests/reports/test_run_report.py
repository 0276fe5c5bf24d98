"""Sentences of a run's report."""

from __future__ import annotations

import pytest

from heritage.reports.run_report import loss_note


@pytest.mark.parametrize(
    ("training", "validation", "noted"), [(1.0, 0.8, True), (0.8, 1.0, False), (1.0, None, False)]
)
def test_a_validation_loss_below_the_training_loss_is_explained(
    training: float, validation: float | None, noted: bool
) -> None:
    row = {"epoch": 1.0, "train/loss": training} | ({} if validation is None else {"val/loss": validation})
    text = "".join(loss_note([{"epoch": 0.0, "train/loss": 2.0, "val/loss": 1.0}, row]))
    assert ("augmentation" in text) == noted
