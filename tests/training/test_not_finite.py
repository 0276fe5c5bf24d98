"""Validation and prediction leave out images for which the network's output is not finite."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss

import heritage
from heritage.errors import TrainingError
from heritage.features.predict_loop import ModelOutputs
from heritage.training.run import TrainingRun
from tests.conftest import TINY


@pytest.fixture
def run(tree: Path, tmp_path: Path) -> TrainingRun:
    """Return a run that is not trained yet."""
    words = [*TINY, f"data.root={tree}", f"paths.run={tmp_path / 'run'}", "trainer.limit_train_batches=1"]
    return heritage.build(heritage.compose("train", words))


def spoil(run: TrainingRun, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    """Let the network return NaN or infinite values for one of ``every`` images, by their first pixel."""
    forward, values = run.classifier.forward, torch.tensor([torch.nan, torch.inf]).repeat(3)

    def spoiled(images: torch.Tensor) -> torch.Tensor:
        bad = images[:, 0, 0, 0].long() % every == 0
        return torch.where(bad[:, None], values, forward(images))

    monkeypatch.setattr(run.classifier, "forward", spoiled)


def test_metrics_are_those_of_the_other_images(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(run, monkeypatch, every=2)
    (logged,) = run.trainer.validate(run.classifier, datamodule=run.data, verbose=False)
    run.classifier.eval()
    with torch.inference_mode():
        whole = [(run.classifier(batch.images), batch.targets) for batch in run.data.eval_loader("val")]
    logits = torch.cat([part for part, _ in whole]).double().numpy()
    targets = torch.cat([part for _, part in whole]).numpy()
    finite = np.isfinite(logits).all(axis=1)
    assert 0 < finite.sum() < len(finite), "the test needs both"
    powers = np.exp(logits[finite])
    probabilities, kept = powers / powers.sum(axis=1, keepdims=True), targets[finite]
    predicted = probabilities.argmax(axis=1)
    assert logged["val/accuracy"] == pytest.approx(accuracy_score(kept, predicted), abs=1e-6)
    f1 = f1_score(kept, predicted, labels=range(6), average="macro", zero_division=0)
    assert logged["val/macro_f1"] == pytest.approx(f1, abs=1e-6)
    assert logged["val/loss"] == pytest.approx(log_loss(kept, probabilities, labels=range(6)), abs=1e-5)
    note = f"no prediction for {(~finite).sum()} of {len(finite)} images"
    assert [record.getMessage() for record in caplog.records if note in record.getMessage()]


def test_a_run_whose_network_predicts_nothing_ends(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(run, monkeypatch, every=1)
    with pytest.raises(TrainingError) as caught:
        run.fit()
    line = str(caught.value)
    assert "no prediction for any of" in line
    assert "val images in epoch 1: the network's output is not finite" in line
    assert "lower optimizer.lr" in line
    assert not list(run.folder.glob("checkpoints/*.ckpt")), "nothing is saved as the best network"


def test_predict_returns_finite_outputs_alone(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(run, monkeypatch, every=2)
    with caplog.at_level(logging.WARNING):
        batches = run.trainer.predict(run.classifier, datamodule=run.data)
    outputs = ModelOutputs.concatenate(batches)  # type: ignore[arg-type]
    images = len(run.data.rows("test"))
    assert 0 < len(outputs.rows) < images
    assert np.isfinite(outputs.logits).all()
    assert "no prediction for" in caplog.text
