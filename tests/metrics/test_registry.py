"""Metrics against version 0.1 and scikit-learn; a metric added to the table appears in every command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
    top_k_accuracy_score,
)

from heritage.comparison.comparison import ResamplingOptions, compare
from heritage.core.manifest import Manifest
from heritage.evaluation.assessment import Assessment, EvaluationOptions
from heritage.exporters.card_metrics import card_metrics
from heritage.metrics.bootstrap import bootstrap
from heritage.metrics.calibration import softmax
from heritage.metrics.classification import ConfusionScores, confusion_matrix
from heritage.metrics.registry import (
    METRICS,
    ConfusionMetric,
    ImageMetric,
    logged_metrics,
    metrics_of_predictions,
)
from heritage.runs.description import RunDescription
from heritage.runs.history import read_history
from heritage.runs.read_predictions import FinishedRun
from tests.conftest import Command

CLASSES = ("a", "b", "c", "d")
BEFORE: dict[str, Any] = json.loads((Path(__file__).parent / "values_of_77e9764.json").read_text())
"""Metrics of `predictions`, computed by version 77e9764."""


def predictions(seed: int, skill: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], list[str]]:
    """Return targets, logits and groups; there is no image of class d."""
    random = np.random.default_rng(7)
    targets = random.integers(0, 3, 240)
    targets[:120] = 0
    groups = [str(group) for group in random.integers(0, 80, 240)]
    random = np.random.default_rng(seed)
    logits = random.normal(size=(240, 4)).round(1).astype(np.float32)
    logits[np.arange(240), targets] += skill
    return targets, logits, groups


def test_an_evaluation_has_the_values_of_version_0_1(tmp_path: Path) -> None:
    targets, logits, groups = predictions(0, 1.0)
    columns = {"file": [f"{n}.jpg" for n in range(240)], "class": [CLASSES[k] for k in targets],
               "group_id": groups}  # fmt: skip
    manifest = Manifest.build(columns, tmp_path, CLASSES)
    options = EvaluationOptions(100, 0.9, [], 1, 1, 1, 3, None)
    assessment = Assessment("", manifest, manifest.targets, logits, None, options, {})
    record = assessment.record()
    for name, value in BEFORE.items():
        if isinstance(value, float):
            assert record[name] == pytest.approx(value, abs=1e-12), name
    for average in ("macro_avg", "weighted_avg"):
        assert record[average] == pytest.approx(BEFORE[average], abs=1e-12)
    for name, expected in BEFORE["intervals"].items():
        assert record["intervals"][name] == pytest.approx(expected, abs=1e-12), name
    for name, (low, high) in BEFORE["average_intervals"].items():
        bounds = assessment.interval(name)
        assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=1e-12), name
    for name, scores in BEFORE["classes"].items():
        for key, value in scores.items():
            if value == [None, None]:
                assert record["classes"][name][key] == value, (name, key)
            else:
                assert record["classes"][name][key] == pytest.approx(value, abs=1e-12), (name, key)
    assert repr(assessment) == "Assessment('', ConfusionMatrix(4 classes, 240 images, accuracy=0.583))"
    assert "<td>0.446</td>" in assessment._repr_html_(), "macro-F1"


def test_a_comparison_has_the_values_of_version_0_1() -> None:
    runs = []
    for seed, skill, balance in ((0, 1.0, "none"), (1, 1.2, "none"), (2, 2.0, "weights")):
        targets, logits, groups = predictions(seed, skill)
        about = RunDescription("vit", "adam", balance, seed)
        images = tuple(map(str, range(240)))
        runs.append(FinishedRun(Path(f"run{seed}"), about, CLASSES, images, tuple(groups), targets,
                                softmax(logits)))  # fmt: skip
    comparison = compare(runs, ResamplingOptions(100, 3))
    for index, (setting, before) in enumerate(zip(comparison.settings, BEFORE["comparison"], strict=True)):
        assert setting.name == before.pop("name")
        for name, (mean, low, high) in before.items():
            bounds = comparison.interval(index, name)
            values = [setting.mean(name), bounds.low, bounds.high]
            assert values == pytest.approx([mean, low, high], abs=1e-12), name
    (difference,) = comparison.differences
    for name in ("accuracy", "macro_f1"):
        change = difference.changes[name]
        values = [change.value, change.interval.low, change.interval.high]
        assert values == pytest.approx(BEFORE["difference"][name], abs=1e-12)
    assert difference.p == pytest.approx(BEFORE["difference"]["p"])
    assert difference.mcnemar == pytest.approx(BEFORE["difference"]["mcnemar"])


@pytest.mark.parametrize("seed", [0, 1])
def test_every_metric_agrees_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    targets = random.permutation(np.arange(200) % 4)
    logits = random.normal(size=(200, 4))
    logits[np.arange(200), targets] += 1
    shares = softmax(logits)
    predicted = shares.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(targets, predicted),
        "balanced_accuracy": balanced_accuracy_score(targets, predicted),
        "macro_f1": f1_score(targets, predicted, average="macro"),
        "weighted_f1": f1_score(targets, predicted, average="weighted"),
        "matthews_correlation": matthews_corrcoef(targets, predicted),
        "top2_accuracy": top_k_accuracy_score(targets, shares, k=2),
        "macro_auroc": roc_auc_score(targets, shares, multi_class="ovr"),
        "brier": brier_score_loss(targets, shares, labels=range(4), scale_by_half=False),
    }
    values = metrics_of_predictions(shares, targets)
    assert list(values) == list(expected) == list(METRICS)
    assert values == pytest.approx(expected, abs=1e-9)


def test_a_constant_prediction_has_no_correlation() -> None:
    values = metrics_of_predictions(np.tile([0.7, 0.3], (6, 1)), np.array([0, 1, 0, 1, 1, 1]))
    assert values["matthews_correlation"] == 0
    assert values["balanced_accuracy"] == 0.5


def kappa(scores: ConfusionScores) -> npt.NDArray[np.float64]:
    """Return Cohen's kappa, (R,)."""
    chance = (scores.support * scores.predicted).sum(axis=1) / scores.images**2
    value: npt.NDArray[np.float64] = (scores.accuracy - chance) / (1 - chance)
    return value


def confidence_terms(
    probabilities: npt.NDArray[np.float64], targets: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the probability of the target, (N,)."""
    terms: npt.NDArray[np.float64] = probabilities[np.arange(len(targets)), targets]
    return terms


@pytest.fixture
def toy_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries in the table, and no change elsewhere."""
    for metric in (
        ConfusionMetric("kappa", "Cohen's kappa", kappa),
        ImageMetric("target_probability", "probability of the target", confidence_terms),
    ):
        monkeypatch.setitem(METRICS, metric.name, metric)


@pytest.mark.usefixtures("toy_metrics")
def test_a_new_metric_is_computed_and_resampled() -> None:
    targets, logits, groups = predictions(0, 1.0)
    shares = softmax(logits)
    values = metrics_of_predictions(shares, targets)
    assert values["kappa"] == pytest.approx(cohen_kappa_score(targets, shares.argmax(axis=1)))
    assert values["target_probability"] == pytest.approx(shares[np.arange(240), targets].mean())
    resampled = bootstrap(targets, shares, groups, resamples=200)
    for name in ("kappa", "target_probability"):
        bounds = resampled.interval(name)
        assert bounds.low < values[name] < bounds.high
    confusion = confusion_matrix(targets, shares.argmax(axis=1), 4)
    assert logged_metrics(confusion, CLASSES)["kappa"] == pytest.approx(values["kappa"])


@pytest.mark.usefixtures("toy_metrics")
def test_a_new_metric_appears_in_every_command(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    run, evaluation, comparison = (tmp_path / name for name in ("run", "evaluation", "comparison"))
    done = heritage("train", *tiny, "callbacks.best.monitor=val/kappa", f"hydra.run.dir={run}")
    assert done.code == 0, done.err
    assert "val/kappa" in read_history(run)[0]
    assert {"kappa", "target_probability"} <= json.loads((run / "metrics.json").read_text()).keys()

    words = ("report.resamples=20", "audits.museum=false", "audits.background=false", "audits.map=0")
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={evaluation}", *words)
    assert done.code == 0, done.err
    metrics = json.loads((evaluation / "metrics.json").read_text())
    for name, label in (("kappa", "Cohen's kappa"), ("target_probability", "probability of the target")):
        low, high = metrics["intervals"][name]
        assert low <= high
        assert label in done.out
        assert f"| {label} | {metrics[name]:.4f} |" in (evaluation / "report.md").read_text()
        escaped = label.replace("'", "&#39;")
        assert f"<b>{metrics[name]:.3f}</b><span>{escaped}</span>" in (evaluation / "report.html").read_text()

    done = heritage("compare", f"runs=[{run}]", f"hydra.run.dir={comparison}", "intervals.resamples=20")
    assert done.code == 0, done.err
    (row,) = csv.DictReader((comparison / "tables" / "overview.csv").read_text().splitlines())
    assert row["Cohen's kappa"].startswith(f"{metrics['kappa']:.4f} (")
    assert row["probability of the target"].startswith(f"{metrics['target_probability']:.4f} (")

    card = card_metrics(run, tuple(metrics["classes"]))
    assert card is not None
    assert "Cohen's kappa" in [one.name for one in card.overall]
