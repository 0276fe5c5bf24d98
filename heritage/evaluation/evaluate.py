"""`heritage evaluate`: run a checkpoint over a data set and write the report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
from heritage.errors import ConfigError
from heritage.evaluation.assessment import Assessment, EvaluationOptions, few_groups_note
from heritage.evaluation.audits import NO_AUDITS, AuditOptions, few_images_note, read_leak_runs, run_audits
from heritage.evaluation.calibration import fit_calibration, run_to_write, written
from heritage.evaluation.mistakes import Mistakes as MistakeFiles
from heritage.evaluation.mistakes import write_mistakes
from heritage.evaluation.outliers import outlier_results
from heritage.evaluation.prior import require_ratios, tail_table, under_prior
from heritage.evaluation.report import LabelCheck, write_evaluation
from heritage.features.compute import ImageFeatures
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier, describe_checkpoint, with_views
from heritage.inference.embeddings import classifier_features, print_store
from heritage.inference.ensemble import Averaged, Members, calibration_variant, load_members
from heritage.inference.logit_adjustment import adjust_logits, frequency_correction
from heritage.inference.prior import read_prior
from heritage.inference.test_set import TestSet
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
from heritage.runs.history import read_history
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
    require_ratios(settings.tails)
    folder = Path(cfg.paths.run)
    device = choose_device(cfg.device)
    audit_options = NO_AUDITS if cfg.audits is None else instantiate(cfg.audits)
    members = _load(cfg)
    averaged_note = _averaged_note(members, audit_options)
    if len(members) > 1:
        audit_options = NO_AUDITS
    leak_runs = read_leak_runs(audit_options, members[0])
    networks = Averaged.open(members, resolved(cfg.data), cfg.split)
    test_set = networks.test_sets[0]
    require_columns(test_set.data.manifest, settings.slices)
    folds = None
    if settings.out_of_fold is not None:
        folds = out_of_fold([settings.out_of_fold], test_set.data.manifest)
    for one in members:
        console.print(f"{one.file}: epoch {one.epoch + 1}, {test_set.name}", highlight=False, soft_wrap=True)
    predictions = networks.predict(test_set.split, device)
    manifest = test_set.manifest(test_set.split).take(predictions.rows)
    groups = manifest.column("group_id")
    fitted = fit_calibration(networks, predictions, settings, device)
    tails = tail_table(predictions, fitted, settings, groups)
    shifted = under_prior(resolved(cfg).get("prior"), members[0], predictions, fitted, groups)
    if shifted.record is not None:  # prediction sets are promised for the frequencies of validation
        settings = replace(settings, coverage=None)
    classifier, predictions, fitted = shifted.classifier, shifted.predictions, shifted.calibrated
    description = describe_checkpoint(classifier)
    of_probabilities = [*averaged_note, *fitted.notes, *_adjustment_notes(members[0])]
    assessment = Assessment(
        title=f"{_title(members)} on {test_set.name}",
        manifest=manifest,
        targets=predictions.targets,
        logits=predictions.logits,
        calibration=fitted.calibration,
        settings=settings,
        facts=_facts(members, test_set, device),
        notes=_notes(members, test_set, manifest, of_probabilities, audit_options),
        tails=tails,
    )
    unseen = _unseen_images(assessment, test_set, fitted.validation) if folds is None else folds
    label_check = _check_labels(*unseen)
    extra = _record(members, test_set, description, cfg) | {"prior": shifted.record}
    features = _features(audit_options, classifier, test_set, device, cfg.paths.outputs)
    audits, embedding_map = run_audits(
        audit_options, classifier, test_set, assessment, predictions.rows, device, folder, leak_runs, width,
        stored=features,
    )  # fmt: skip
    if audit_options.outliers and features is not None:
        audits += outlier_results(
            classifier, test_set, assessment, predictions.rows, features, device, cfg.paths.outputs
        )
    _store_audits(audits, members, classifier, test_set)
    print_store(features, console)
    mistakes = None if how == "none" else write_mistakes(assessment, folder, how)
    return _written_report(
        assessment,
        label_check,
        audits,
        folder,
        console,
        extra,
        embedding_map,
        mistakes,
        _history(members),
        width,
    )


def _store_audits(
    audits: Sequence[AuditResult], members: Members, classifier: TrainedClassifier, test_set: TestSet
) -> None:
    """Write the audits of a run's own test split into its folder, for its model card."""
    own = test_set.own and test_set.split == "test" and not calibration_variant(members)
    if audits and own and (run := run_to_write([classifier])):
        for note in written(lambda: write_audits(audits, run), run / AUDITS_FILE):
            log.warning("%s", note)


def _load(cfg: DictConfig) -> Members:
    """Load the networks, with the logits and views that they are evaluated with."""
    prior, views = resolved(cfg).get("prior"), choice("tta", cfg.tta, Views)
    members = load_members(resolved(cfg)["ckpt"], cfg.trusted)
    if prior is not None:
        read_prior(prior, members[0].classes, estimate=True)  # before minutes of predictions
        if cfg.logit_adjustment:
            raise ConfigError(
                "both change the class frequencies that predictions are for",
                where=f"logit_adjustment={cfg.logit_adjustment:g}, prior",
                remedy="use one of them",
            )
    if cfg.logit_adjustment:
        members = tuple(adjust_logits(one, cfg.logit_adjustment) for one in members)
    return tuple(with_views(one, views) for one in members)


def _history(members: Members) -> Sequence[Mapping[str, float]]:
    """Return the metrics of each epoch of the training; empty for several networks or a moved checkpoint."""
    folder = members[0].folder
    return [] if len(members) > 1 or folder is None else read_history(folder)


def _written_report(
    assessment: Assessment,
    label_check: LabelCheck,
    audits: Sequence[AuditResult],
    folder: Path,
    console: Console,
    extra: Mapping[str, Any],
    embedding_map: tuple[Path, str] | None,
    mistakes: MistakeFiles | None,
    history: Sequence[Mapping[str, float]],
    width: FigureWidth,
) -> Path:
    page = write_evaluation(
        assessment,
        label_check,
        audits,
        folder,
        extra=extra,
        embedding_map=embedding_map,
        mistakes=mistakes,
        history=history,
        width=width,
    )
    _print(assessment, audits, console)
    if mistakes is not None:
        console.print(f"mistakes: {mistakes.summary}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return page


def _title(members: Members) -> str:
    names = list(dict.fromkeys(describe_checkpoint(one).model for one in members))
    return names[0] if len(members) == 1 else f"{len(members)} networks ({', '.join(names)})"


def _averaged_note(members: Members, audit_options: AuditOptions) -> list[str]:
    if len(members) == 1:
        return []
    audits = "" if audit_options == NO_AUDITS else " Audits are of single networks and were not run."
    return [f"The probabilities are the mean of {len(members)} networks.{audits}"]


def _images_seen(members: Members) -> int | None:
    counts = [images_seen(one.folder) for one in members]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _record(
    members: Members, test_set: TestSet, description: RunDescription, cfg: DictConfig
) -> dict[str, Any]:
    """Return what ``metrics.json`` holds beside the metrics."""
    return {
        "checkpoint": str(members[0].file),
        "averaged": [str(one.file) for one in members] if len(members) > 1 else [],
        "fingerprint": test_set.data.manifest.fingerprint,
        "split": test_set.split,
        "recipe": asdict(_compared_as(description, cfg, members)),
        "tta": cfg.tta,
        "fold": _fold(members[0], test_set),
        "environment": environment(),
        IMAGES_SEEN: _images_seen(members),
    }


def _features(
    options: AuditOptions,
    classifier: TrainedClassifier,
    test_set: TestSet,
    device: torch.device,
    outputs: str,
) -> ImageFeatures | None:
    """Open the features that the audits need; None if they need none."""
    outliers = options.outliers and not classifier.training_images.all_drawn
    if not (options.needs_features or outliers):
        return None
    return classifier_features(classifier, test_set.data, device, outputs)


def _notes(
    members: Members,
    test_set: TestSet,
    manifest: Manifest,
    of_probabilities: Sequence[str],
    audit_options: AuditOptions,
) -> list[str]:
    """Return the notes of a report: on the data, the probabilities, and what the images are too few for."""
    return [
        *dict.fromkeys(note for one in members for note in one.notes),
        *drawn_note(len(manifest), manifest.drawn),
        *test_set.notes,
        *of_probabilities,
        *test_set.left_out(),
        *absent_note(manifest.counts(), _train_counts(members[0])),
        *few_groups_note(manifest),
        *few_images_note(audit_options, len(manifest)),
    ]


def _fold(classifier: TrainedClassifier, test_set: TestSet) -> dict[str, int] | None:
    """Return the fold of the predictions, if they are for the run's own test split."""
    fold = read_fold(classifier.config) if test_set.own and test_set.split == "test" else None
    return None if fold is None else asdict(fold)


def _compared_as(description: RunDescription, cfg: DictConfig, members: Members) -> RunDescription:
    """Return the description for `heritage compare`: logit adjustment counts as a balancing method."""
    words = [f"average={len(members)}"] if len(members) > 1 else []
    recipes = [describe_checkpoint(one).name.split() for one in members]
    common = set(recipes[0]).intersection(*recipes[1:])
    different = sorted({" ".join(word for word in recipe if word not in common) for recipe in recipes})
    words += [f"of [{', '.join(different)}]"] if len(different) > 1 else []
    words += [f"tta={cfg.tta}"] if cfg.tta != "none" else []
    words += [] if cfg.prior is None else [f"prior={cfg.prior}"]
    described = replace(description, others=(*description.others, *words))
    if not cfg.logit_adjustment:
        return described
    return replace(described, balance=f"{description.balance} logit_adjustment={cfg.logit_adjustment:g}")


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


def _facts(members: Members, test_set: TestSet, device: torch.device) -> dict[str, str]:
    classifier = members[0]
    description, data = describe_checkpoint(classifier), test_set.data
    facts = {
        "checkpoint": f"{classifier.file}, epoch {classifier.epoch + 1}",
        "data": f"{data.manifest.root} ({counted(len(data.manifest), 'image')}, fingerprint "
        f"{data.manifest.fingerprint[:12]})",
        "test set": test_set.name,
        "model": f"{description.model}, {classifier.image_size} px",
        "optimizer": description.optimizer,
        "balance": description.balance,
        "seed": str(description.seed),
        "computed on": f"{device.type}, {classifier.precision(device)}",
    }
    if classifier.model.views != "none":
        facts["test-time augmentation"] = classifier.model.views
    if len(members) > 1:
        facts["averaged with"] = ", ".join(str(one.file) for one in members[1:])
    return facts


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
