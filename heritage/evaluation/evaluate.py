"""`heritage evaluate`: run a checkpoint over a data set and write the report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.table import Table

from heritage.core.console import Console
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.option_types import FigureWidth, Mistakes, choice
from heritage.evaluation.assessment import Assessment, EvaluationOptions, few_groups_note
from heritage.evaluation.audits import NO_AUDITS, AuditOptions, few_images_note, read_leak_runs, run_audits
from heritage.evaluation.calibration import fit_calibration, run_to_write, written
from heritage.evaluation.mistakes import write_mistakes
from heritage.evaluation.report import LabelCheck, write_evaluation
from heritage.features.compute import ImageFeatures
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier, describe_checkpoint, load_checkpoint, with_views
from heritage.inference.embeddings import classifier_features, print_store
from heritage.inference.logit_adjustment import adjust_logits, frequency_correction
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet, open_test_set
from heritage.metrics.calibration import softmax
from heritage.metrics.classification import absent_note
from heritage.metrics.label_errors import find_label_errors
from heritage.metrics.registry import METRICS
from heritage.metrics.slices import require_columns
from heritage.models.views import Views
from heritage.reports.html import score
from heritage.runs.audits import AuditResult, write_audits
from heritage.runs.description import RunDescription, read_fold
from heritage.runs.files import AUDITS_FILE, DATA_FILE, IMAGES_SEEN
from heritage.runs.locks import run_locked
from heritage.runs.out_of_fold import out_of_fold
from heritage.runs.read_predictions import images_seen
from heritage.runs.record import environment, read_json, resolved
from heritage.runs.training_images import drawn_note
from heritage.training.devices import choose_device

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig, console: Console) -> Path:
    """Run a trained network over a data set, measure its predictions and write the report.

    Returns:
        The path of ``report.html``.

    Raises:
        HeritageError: The configuration, the checkpoint or the data set is faulty.
    """
    with run_locked(Path(cfg.paths.run)):
        return _evaluate(cfg, console)


def _evaluate(cfg: DictConfig, console: Console) -> Path:
    width = choice("figure_width", cfg.figure_width, FigureWidth)
    how = choice("mistakes", cfg.mistakes, Mistakes)
    settings: EvaluationOptions = instantiate(cfg.report, _convert_="all")
    folder = Path(cfg.paths.run)
    choice("tta", cfg.tta, Views)
    device = choose_device(cfg.device)
    classifier = load_checkpoint(cfg.ckpt, cfg.trusted)
    audit_options = NO_AUDITS if cfg.audits is None else instantiate(cfg.audits)
    leak_runs = read_leak_runs(audit_options, classifier)
    if cfg.logit_adjustment:
        classifier = adjust_logits(classifier, cfg.logit_adjustment)
    classifier = with_views(classifier, cfg.tta)
    test_set = open_test_set(classifier, resolved(cfg.data), cfg.split)
    require_columns(test_set.data.manifest, settings.slices)
    folds = None
    if settings.out_of_fold is not None:
        folds = out_of_fold([settings.out_of_fold], test_set.data.manifest)
    console.print(
        f"{classifier.file}: epoch {classifier.epoch + 1}, {test_set.name}", highlight=False, soft_wrap=True
    )
    predictions = predict_split(classifier, test_set, test_set.split, device)
    manifest = test_set.manifest(test_set.split).take(predictions.rows)
    calibration, validation, notes = fit_calibration(classifier, test_set, predictions, settings, device)
    description = describe_checkpoint(classifier)
    assessment = Assessment(
        title=f"{description.model} on {test_set.name}",
        manifest=manifest,
        targets=predictions.targets,
        logits=predictions.logits,
        calibration=calibration,
        settings=settings,
        facts=_facts(classifier, test_set, device),
        notes=_notes(classifier, test_set, manifest, [*notes, *_adjustment_notes(classifier)], audit_options),
    )
    unseen = _unseen_images(assessment, test_set, validation) if folds is None else folds
    label_check = _check_labels(*unseen)
    extra = _record(classifier, test_set, description, cfg)
    features = _features(audit_options, classifier, test_set, device, cfg.paths.outputs)
    audits, embedding_map = run_audits(
        audit_options, classifier, test_set, assessment, predictions.rows, device, folder, leak_runs, width,
        stored=features,
    )  # fmt: skip
    own = test_set.own and test_set.split == "test" and cfg.tta == "none"
    if audits and own and (run := run_to_write(classifier)):
        for note in written(lambda: write_audits(audits, run), run / AUDITS_FILE):
            log.warning("%s", note)
    mistakes = None if how == "none" else write_mistakes(assessment, folder, how)
    page = write_evaluation(
        assessment,
        label_check,
        audits,
        folder,
        extra=extra,
        embedding_map=embedding_map,
        mistakes=mistakes,
        width=width,
    )
    _print(assessment, audits, console)
    if mistakes is not None:
        console.print(f"mistakes: {mistakes.summary}", highlight=False, markup=False, soft_wrap=True)
    print_store(features, console)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return page


def _record(
    classifier: TrainedClassifier, test_set: TestSet, description: RunDescription, cfg: DictConfig
) -> dict[str, Any]:
    """Return what ``metrics.json`` holds beside the metrics."""
    return {
        "checkpoint": str(classifier.file),
        "fingerprint": test_set.data.manifest.fingerprint,
        "split": test_set.split,
        "recipe": asdict(_compared_as(description, cfg.logit_adjustment, cfg.tta)),
        "tta": cfg.tta,
        "fold": _fold(classifier, test_set),
        "environment": environment(),
        IMAGES_SEEN: images_seen(classifier.folder),
    }


def _features(
    options: AuditOptions,
    classifier: TrainedClassifier,
    test_set: TestSet,
    device: torch.device,
    outputs: str,
) -> ImageFeatures | None:
    """Open the features that the audits need; None if they need none."""
    return classifier_features(classifier, test_set.data, device, outputs) if options.needs_features else None


def _notes(
    classifier: TrainedClassifier,
    test_set: TestSet,
    manifest: Manifest,
    of_probabilities: Sequence[str],
    audit_options: AuditOptions,
) -> list[str]:
    """Return the notes of a report: on the data, the probabilities, and what the images are too few for."""
    return [
        *classifier.notes,
        *drawn_note(len(manifest), manifest.drawn),
        *test_set.notes,
        *of_probabilities,
        *test_set.left_out(),
        *absent_note(manifest.counts(), _train_counts(classifier)),
        *few_groups_note(manifest),
        *few_images_note(audit_options, len(manifest)),
    ]


def _fold(classifier: TrainedClassifier, test_set: TestSet) -> dict[str, int] | None:
    """Return the fold of the predictions, if they are for the run's own test split."""
    fold = read_fold(classifier.config) if test_set.own and test_set.split == "test" else None
    return None if fold is None else asdict(fold)


def _compared_as(description: RunDescription, logit_adjustment: float, tta: Views) -> RunDescription:
    """Return the description for `heritage compare`: logit adjustment counts as a balancing method."""
    if tta != "none":
        description = replace(description, others=(*description.others, f"tta={tta}"))
    if not logit_adjustment:
        return description
    return replace(description, balance=f"{description.balance} logit_adjustment={logit_adjustment:g}")


def _train_counts(classifier: TrainedClassifier) -> dict[str, int] | None:
    """Return the training images of each class that the run recorded; None if it is not known."""
    if classifier.folder is None:
        return None
    counts = read_json(classifier.folder, DATA_FILE).get("counts", {}).get("train")
    return None if counts is None else {str(name): int(count) for name, count in counts.items()}


def _adjustment_notes(classifier: TrainedClassifier) -> list[str]:
    if classifier.model.shift is None:
        return []
    pairs = zip(classifier.classes, classifier.model.shift.tolist(), strict=True)
    notes = ["Logits were adjusted: " + ", ".join(f"{name} {shift:+.2f}" for name, shift in pairs) + "."]
    if earlier := frequency_correction(classifier):
        notes.append(f"Training already corrected for class frequencies, by {earlier}: this corrects twice.")
    return notes


def _unseen_images(
    assessment: Assessment, test_set: TestSet, validation: ModelOutputs | None
) -> tuple[Manifest, npt.NDArray[np.float64]]:
    """Return test and validation images with probabilities: more images give better class thresholds."""
    if validation is None or test_set.split != "test":
        return assessment.manifest, assessment.calibrated
    temperature = assessment.calibration.temperature if assessment.calibration else 1.0
    manifest = test_set.manifest("val").take(validation.rows)
    return (
        Manifest.concatenate([assessment.manifest, manifest]),
        np.concatenate([assessment.calibrated, softmax(validation.logits, temperature)]),
    )


def _check_labels(manifest: Manifest, probabilities: npt.NDArray[np.float64]) -> LabelCheck:
    return LabelCheck(manifest, probabilities, find_label_errors(probabilities, manifest.targets))


def _facts(classifier: TrainedClassifier, test_set: TestSet, device: torch.device) -> dict[str, str]:
    description, data = describe_checkpoint(classifier), test_set.data
    return {
        "checkpoint": f"{classifier.file}, epoch {classifier.epoch + 1}",
        "data": f"{data.manifest.root} ({counted(len(data.manifest), 'image')}, fingerprint "
        f"{data.manifest.fingerprint[:12]})",
        "test set": test_set.name,
        "model": f"{description.model}, {classifier.image_size} px",
        "optimizer": description.optimizer,
        "balance": description.balance,
        "seed": str(description.seed),
        "computed on": f"{device.type}, {classifier.precision(device)}",
    } | ({} if (tta := classifier.model.views) == "none" else {"test-time augmentation": tta})


def _print(assessment: Assessment, audits: Sequence[AuditResult], console: Console) -> None:
    table = Table(title=assessment.title, title_justify="left")
    for name in ("metric", "value", "95 % interval"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, metric in METRICS.items():
        bounds = assessment.interval(name)
        table.add_row(
            metric.title, score(assessment.values[name], 4), f"{score(bounds.low)} – {score(bounds.high)}"
        )
    console.print(table)
    for one in audits:
        console.print(f"{one.name}: {one.verdict}", highlight=False, soft_wrap=True)
    for note in assessment.notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True)
