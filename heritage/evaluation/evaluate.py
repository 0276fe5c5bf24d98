"""From a checkpoint and a data set to a report: what `heritage evaluate` does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from heritage.core.manifest import Manifest
from heritage.evaluation.assessment import NAMES, Assessment, EvaluationOptions, few_groups_note
from heritage.evaluation.audits import AuditOptions, audit, torn_apart
from heritage.evaluation.report import Unseen, write_evaluation
from heritage.inference.checkpoint import TrainedClassifier, describe_checkpoint, load_checkpoint
from heritage.inference.logit_adjustment import adjusted, adjusted_already
from heritage.inference.predictions import choose_device, predict_split
from heritage.inference.test_set import TestSet, open_test_set
from heritage.metrics.calibration import Calibration, calibrate, softmax
from heritage.metrics.label_errors import suspects
from heritage.metrics.slices import require_columns
from heritage.reports.html import score
from heritage.runs.audits import AuditResult, write_audits
from heritage.runs.calibration import read_calibration, write_calibration
from heritage.runs.description import RunDescription, read_fold
from heritage.runs.files import BEST_CHECKPOINT, IMAGES_SEEN
from heritage.runs.finished import images_seen
from heritage.runs.out_of_fold import out_of_fold
from heritage.runs.record import environment, resolved
from heritage.training.predict_loop import Predictions

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig, console: Console) -> Path:
    """Ask a trained network about a data set, measure its answers and write the report.

    Returns:
        The path of ``report.html``.

    Raises:
        HeritageError: Whatever keeps it from being done, in words.
    """
    settings: EvaluationOptions = instantiate(cfg.report, _convert_="all")
    folder = Path(cfg.paths.run)
    device = choose_device(cfg.device)
    trained = load_checkpoint(cfg.ckpt)
    wished: AuditOptions = instantiate(cfg.audits)
    torn = torn_apart(wished, trained)
    if cfg.logit_adjustment:
        trained = adjusted(trained, cfg.logit_adjustment)
    testbed = open_test_set(trained, resolved(cfg.data), cfg.split)
    require_columns(testbed.data.manifest, settings.slices)
    fold_runs = settings.out_of_fold
    folds = None if fold_runs is None else out_of_fold([fold_runs], testbed.data.manifest)
    console.print(
        f"{trained.file}: epoch {trained.epoch + 1}, {testbed.name}", highlight=False, soft_wrap=True
    )
    answers = predict_split(trained, testbed, testbed.split, device)
    manifest = testbed.manifest(testbed.split).take(answers.rows)
    calibration, validation, notes = _calibration(trained, testbed, answers, settings, device)
    notes += _adjustment_notes(trained)
    assessment = Assessment(
        title=f"{describe_checkpoint(trained).model} on {testbed.name}",
        manifest=manifest,
        targets=answers.targets,
        logits=answers.logits,
        calibration=calibration,
        settings=settings,
        facts=_facts(trained, testbed, device),
        notes=[*testbed.notes, *notes, *_unreadable(testbed), *few_groups_note(manifest)],
    )
    unseen = _unseen(assessment, testbed, validation) if folds is None else _suspected(*folds)
    extra = {
        "checkpoint": str(trained.file),
        "fingerprint": testbed.data.manifest.fingerprint,
        "split": testbed.split,
        "recipe": asdict(_compared_as(describe_checkpoint(trained), cfg.logit_adjustment)),
        "fold": _fold(trained, testbed),
        "environment": environment(),
        IMAGES_SEEN: images_seen(trained.folder),
    }
    audits, drawn = audit(wished, trained, testbed, assessment, device, folder, torn)
    if testbed.own and testbed.split == "test" and (run := _run_folder(trained)):
        log.info("%s", write_audits(audits, run))
    page = write_evaluation(assessment, unseen, audits, folder, extra=extra, picture_map=drawn)
    _print(assessment, audits, console)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return page


def _fold(trained: TrainedClassifier, testbed: TestSet) -> dict[str, int] | None:
    """Return which fold the answers are about, where they are about the run's own test split."""
    fold = read_fold(trained.config) if testbed.own and testbed.split == "test" else None
    return None if fold is None else asdict(fold)


def _compared_as(recipe: RunDescription, logit_adjustment: float) -> RunDescription:
    """Return how `heritage compare` is to know these answers: an adjustment is one more way of balancing."""
    if not logit_adjustment:
        return recipe
    return replace(recipe, balance=f"{recipe.balance} logit_adjustment={logit_adjustment:g}")


def _calibration(
    trained: TrainedClassifier,
    testbed: TestSet,
    answers: Predictions,
    settings: EvaluationOptions,
    device: torch.device,
) -> tuple[Calibration | None, Predictions | None, list[str]]:
    """Fit on the network's own validation split, or take what was fitted there before."""
    if not testbed.own:
        if trained.model.shift is not None:
            return None, None, ["No calibration: that of the run folder is of logits that are not adjusted."]
        found = None if trained.folder is None else read_calibration(trained.folder)
        note = (
            "" if found else "No calibration: it is fitted when the network is evaluated on its own data set."
        )
        return found, None, [note] if note else []
    validation = answers if testbed.split == "val" else predict_split(trained, testbed, "val", device)
    found = calibrate(
        validation.logits,
        validation.targets,
        target_precision=settings.target_precision,
        split="val",
        fingerprint=testbed.data.manifest.fingerprint,
    )
    notes = []
    if testbed.split == "val":
        notes.append(
            "Temperature and threshold were fitted on these very images: calibrated figures flatter."
        )
    if run := _run_folder(trained):
        log.info("%s", write_calibration(found, run))
    else:
        notes.append(
            "calibration.json was not written: it is kept for the best checkpoint of a run folder, as it is."
        )
    return found, validation, notes


def _run_folder(trained: TrainedClassifier) -> Path | None:
    """Return the folder that keeps what is found of a network: of its best checkpoint, not adjusted."""
    kept = trained.file.name == BEST_CHECKPOINT and trained.model.shift is None
    return trained.folder if kept else None


def _adjustment_notes(trained: TrainedClassifier) -> list[str]:
    if trained.model.shift is None:
        return []
    pairs = zip(trained.classes, trained.model.shift.tolist(), strict=True)
    notes = ["Logits were adjusted: " + ", ".join(f"{name} {shift:+.2f}" for name, shift in pairs) + "."]
    if already := adjusted_already(trained):
        notes.append(
            f"The network had gone by the classes' frequencies before, by {already}: twice is too much."
        )
    return notes


def _unseen(assessment: Assessment, testbed: TestSet, validation: Predictions | None) -> Unseen:
    """Put validation and test together: the more images, the better the classes' averages."""
    manifest, probabilities = assessment.manifest, assessment.believed
    if validation is not None and testbed.split == "test":
        more = testbed.manifest("val").take(validation.rows)
        both = Manifest.concatenate([manifest, more])
        temperature = assessment.calibration.temperature if assessment.calibration else 1.0
        manifest, probabilities = (
            both,
            np.concatenate([probabilities, softmax(validation.logits, temperature)]),
        )
    return _suspected(manifest, probabilities)


def _suspected(manifest: Manifest, probabilities: npt.NDArray[np.float64]) -> Unseen:
    return Unseen(manifest, probabilities, suspects(probabilities, manifest.targets))


def _facts(trained: TrainedClassifier, testbed: TestSet, device: torch.device) -> dict[str, str]:
    recipe, data = describe_checkpoint(trained), testbed.data
    return {
        "checkpoint": f"{trained.file}, epoch {trained.epoch + 1}",
        "data": f"{data.manifest.root} ({len(data.manifest):,} images, fingerprint "
        f"{data.manifest.fingerprint[:12]})",
        "asked about": testbed.name,
        "model": f"{recipe.model}, {trained.image_size} px",
        "optimizer": recipe.optimizer,
        "balance": recipe.balance,
        "seed": str(recipe.seed),
        "computed on": f"{device.type}, {trained.precision(device)}",
    }


def _unreadable(testbed: TestSet) -> list[str]:
    files = testbed.data.unreadable(testbed.split)
    if not files:
        return []
    named = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    return [f"{len(files)} images could not be read and were left out: {named}"]


def _print(assessment: Assessment, audits: Sequence[AuditResult], console: Console) -> None:
    table = Table(title=assessment.title, title_justify="left")
    for name in ("score", "value", "95 % interval"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name, words in NAMES.items():
        bounds = assessment.interval(name)
        table.add_row(words, score(assessment.values[name], 4), f"{score(bounds.low)} – {score(bounds.high)}")
    console.print(table)
    for one in audits:
        console.print(f"{one.name}: {one.verdict}", highlight=False, soft_wrap=True)
    for note in assessment.notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True)
