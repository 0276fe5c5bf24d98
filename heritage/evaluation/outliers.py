"""Fit the score of photographs unlike the training images, and measure what it recognises."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.numbers import counted, percent
from heritage.data.augment import downscale, eval_transform
from heritage.evaluation.assessment import Assessment
from heritage.evaluation.calibration import run_to_write, written
from heritage.evaluation.outlier_pictures import picture_sets
from heritage.features.compute import ImageFeatures
from heritage.features.extractor import FeatureExtractor, backbone_digest
from heritage.features.predict_loop import autocast
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.embeddings import classifier_features
from heritage.inference.test_set import TestSet
from heritage.metrics.outliers import (
    INSIDE,
    Floats,
    Separation,
    bank_rows,
    choose_method,
    fit_score,
    held_out_classes,
    inside_threshold,
    separation,
)
from heritage.metrics.prediction_sets import groups_needed
from heritage.reports.html import score as shown
from heritage.runs.audits import AuditResult
from heritage.runs.files import OUTLIERS_FILE, variant_file
from heritage.runs.outliers import OutlierRule, read_outliers, write_outliers

log = logging.getLogger(__name__)

_NAME = "Photographs unlike the training images"
_HEAD = ("photographs", "images", "AUROC", "95 % interval", "found unlike")
_BATCH = 32
_OF_METHOD = {
    "knn": "the cosine distance to the nearest training images",
    "mahalanobis": "the Mahalanobis distance to the nearest class",
}


class _Fitted(NamedTuple):
    rule: OutlierRule | None
    features: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    groups: int


def outlier_results(
    classifier: TrainedClassifier,
    test_set: TestSet,
    assessment: Assessment,
    rows: npt.NDArray[np.int64],
    features: ImageFeatures,
    device: torch.device,
    outputs: str,
) -> list[AuditResult]:
    """Return the result of `outlier_audit`, if there is one.

    Args:
        classifier: As for `outlier_audit`.
        test_set: As for `outlier_audit`.
        assessment: As for `outlier_audit`.
        rows: As for `outlier_audit`.
        features: The features of the data set, of one view of each image.
        device: As for `outlier_audit`.
        outputs: ``paths.outputs``, where features of several views are stored.
    """
    if (views := classifier.model.views) != "none":
        features = classifier_features(classifier, test_set.data, device, outputs, views)
    result = outlier_audit(classifier, test_set, assessment, rows, features, device)
    return [] if result is None else [result]


def outlier_audit(
    classifier: TrainedClassifier,
    test_set: TestSet,
    assessment: Assessment,
    rows: npt.NDArray[np.int64],
    stored: ImageFeatures,
    device: torch.device,
) -> AuditResult | None:
    """Fit the score on training images, its threshold on validation, and measure both on the test images.

    The score is stored in the run folder. On another data set than the network's own, the stored score is
    used, and the share of images above its threshold is reported.

    Args:
        classifier: The network, with the views that it is evaluated with.
        test_set: The images.
        assessment: The measured predictions for them.
        rows: Their rows in the split, ascending.
        stored: The features of the data set, averaged over the network's views.
        device: Where to compute the features of pictures that are made by code.

    Returns:
        The result; None for a network that was trained on drawings, of which nothing is claimed, for splits
        other than the test split, and for another data set without a stored score.
    """
    if classifier.training_images.all_drawn:
        return None
    views = classifier.model.views
    variant = "" if views == "none" else views
    if not test_set.own:
        known = None if classifier.folder is None else read_outliers(classifier.folder, variant)
        return None if known is None else _of_others(known, assessment, rows, stored, test_set.split)
    if test_set.split != "test":
        return None
    fitted = _fit(
        test_set, stored, seed=assessment.settings.seed, weights=backbone_digest(classifier.model.net)
    )
    if fitted.rule is None:
        return _too_few(fitted.groups)
    if run := run_to_write([classifier]):
        rule = fitted.rule
        for note in written(
            lambda: write_outliers(rule, run, variant), run / variant_file(OUTLIERS_FILE, variant)
        ):
            log.warning("%s", note)
    extractor = FeatureExtractor(classifier.model, views).eval().to(device)
    return _measured(fitted, test_set, assessment, rows, stored, _Pictures(classifier, extractor, device))


def _fit(test_set: TestSet, stored: ImageFeatures, *, seed: int, weights: str) -> _Fitted:
    data = test_set.data
    train, val = data.rows("train"), data.rows("val")
    all_targets, all_groups = data.manifest.targets, data.manifest.column("group_id")
    chosen = train[bank_rows(all_targets[train], stored.store.width, seed)]
    kept, features = stored.of(chosen, description="features of training images")
    targets = all_targets[chosen[kept]]
    if not len(val) or not len(kept):
        return _Fitted(None, features, targets, 0)
    seen, images = stored.of("val")
    groups = [str(all_groups[row]) for row in val[seen].tolist()]
    count = len(set(groups))
    if count < groups_needed(INSIDE):
        return _Fitted(None, features, targets, count)
    measured = choose_method(features, targets, images, all_targets[val[seen]])
    best = fit_score(next(iter(measured)), features, targets)
    threshold = inside_threshold(best.scores(images), groups)
    if threshold is None or threshold <= 0:
        return _Fitted(None, features, targets, count)
    rule = OutlierRule(
        best,
        threshold,
        len(seen),
        count,
        data.manifest.fingerprint,
        weights,
        {name: None if np.isnan(value) else value for name, value in measured.items()},
    )
    return _Fitted(rule, features, targets, count)


class _Pictures:
    """Features of pictures in memory."""

    def __init__(
        self, classifier: TrainedClassifier, extractor: FeatureExtractor, device: torch.device
    ) -> None:
        self._size = classifier.image_size
        self._resize = eval_transform(self._size, classifier.crop_pct, classifier.interpolation)
        self._extractor = extractor
        self._device = device
        self._precision = classifier.precision(device)

    def features(self, pictures: list[Any]) -> npt.NDArray[np.float32]:
        """Return the features (N, D) of RGB pictures (H, W, 3)."""
        blocks = []
        with torch.inference_mode(), autocast(self._device, self._precision):
            for start in range(0, len(pictures), _BATCH):
                part = [self._resize(downscale(one, self._size)) for one in pictures[start : start + _BATCH]]
                images = torch.from_numpy(np.stack(part)).to(self._device)
                blocks.append(self._extractor(images).float().cpu().numpy())
        return np.concatenate(blocks)


def _measured(
    fitted: _Fitted,
    test_set: TestSet,
    assessment: Assessment,
    rows: npt.NDArray[np.int64],
    stored: ImageFeatures,
    pictures: _Pictures,
) -> AuditResult | None:
    rule = fitted.rule
    if rule is None:
        return None
    kept, features = stored.of(test_set.data.rows("test")[rows], description="features of test", retry=True)
    if not len(kept):
        return None
    groups = [assessment.groups[row] for row in kept.tolist()]
    targets = assessment.targets[kept]
    own = rule.relative(features)
    options = {"resamples": assessment.settings.resamples, "seed": assessment.settings.seed}
    table = [(_own_name(test_set), f"{len(own):,}", "", "", percent(float((own > 1).mean())))]
    record: dict[str, Any] = {
        "method": rule.score.method,
        "validation_auroc": rule.measured,
        "threshold": rule.threshold,
        "validation_images": rule.images,
        "validation_groups": rule.groups,
        "unlike": float((own > 1).mean()),
        "against": {},
    }
    for one in picture_sets():
        scores = rule.relative(pictures.features(one.pictures))
        scores, names = scores[np.isfinite(scores)], np.array(one.groups)[np.isfinite(scores)].tolist()
        _add(
            one.name,
            one.key,
            separation(own, groups, scores, names, **options),
            _share(scores),
            table,
            record,
        )
    for held in held_out_classes(rule.score.method, fitted.features, fitted.targets, features, targets):
        ours, theirs = ([groups[row] for row in part.tolist()] for part in (held.own_rows, held.other_rows))
        found = separation(held.own, ours, held.other, theirs, **options)
        name = assessment.classes[held.target]
        _add(f"{name}, left out of the fit", f"without_{name}", found, None, table, record)
    return AuditResult(
        "unlike_training", _NAME, _verdict(record), _words(rule, record), good=True, head=_HEAD, rows=table,
        record=record,
    )  # fmt: skip


def _own_name(test_set: TestSet) -> str:
    return f"{test_set.name} itself"


def _share(scores: Floats) -> float | None:
    return float((scores > 1).mean()) if len(scores) else None


def _add(
    name: str,
    key: str,
    found: Separation,
    share: float | None,
    table: list[tuple[str, str, str, str, str]],
    record: dict[str, Any],
) -> None:
    bounds = found.interval
    known = not np.isnan(bounds.low)
    within = f"{shown(bounds.low)} – {shown(bounds.high)}" if known else f"{counted(found.groups, 'group')}"
    table.append(
        (name, f"{found.images:,}", shown(found.auroc), within, "" if share is None else percent(share))
    )
    record["against"][key] = {
        "auroc": None if np.isnan(found.auroc) else found.auroc,
        "interval": [bounds.low, bounds.high] if known else None,
        "images": found.images,
        "groups": found.groups,
        "unlike": share,
    }


def _verdict(record: dict[str, Any]) -> str:
    values = [one["auroc"] for one in record["against"].values() if one["unlike"] is not None]
    lowest = shown(min((value for value in values if value is not None), default=float("nan")))
    classes = _left_out(record)
    unknown = f", and {shown(float(np.mean(classes)))} against classes left out of the fit" if classes else ""
    return (
        f"{percent(record['unlike'])} of the test images are found unlike the training images; the AUROC "
        f"against pictures made by code is at least {lowest}{unknown}."
    )


def _left_out(record: dict[str, Any]) -> list[float]:
    others = [one["auroc"] for key, one in record["against"].items() if key.startswith("without_")]
    return [value for value in others if value is not None]


def _words(rule: OutlierRule, record: dict[str, Any]) -> str:
    few = (
        f" The threshold comes from only {counted(rule.groups, 'group')} of validation images, so the share "
        "of photographs that are found unlike by mistake is uncertain."
        if rule.groups < 100
        else ""
    )
    unknown = (
        " For rows with a class left out, the score was fitted without its images; the network itself was "
        "trained with them. An AUROC of 0.5 is chance."
        if _left_out(record)
        else ""
    )
    tried = ", ".join(f"{name} {shown(value)}" for name, value in rule.measured.items() if value is not None)
    chosen = (
        f", chosen on validation by the mean AUROC over classes left out in turn ({tried})" if tried else ""
    )
    return (
        f"The score is {_OF_METHOD[rule.score.method]}{chosen}. The threshold leaves {percent(INSIDE, 0)} of "
        f"the groups of validation images inside; beyond it, a photograph gets no class.{few}{unknown}"
    )


def _too_few(groups: int) -> AuditResult:
    return AuditResult(
        "unlike_training",
        _NAME,
        "Nothing is claimed: there are too few validation images.",
        f"A threshold needs {groups_needed(INSIDE)} groups of validation images, and there are {groups}.",
        good=False,
        record={"validation_groups": groups},
    )


def _of_others(
    rule: OutlierRule,
    assessment: Assessment,
    rows: npt.NDArray[np.int64],
    stored: ImageFeatures,
    split: str,
) -> AuditResult | None:
    kept, features = stored.of(stored.data.rows(split)[rows], description=f"features of {split}", retry=True)
    if not len(kept) or features.shape[1] != rule.score.width:
        return None
    share = float((rule.relative(features) > 1).mean())
    record = {"unlike": share, "images": len(kept), "groups": len(set(assessment.groups))}
    return AuditResult(
        "unlike_training",
        _NAME,
        f"{percent(share)} of these images are found unlike the training images.",
        f"Of images like those of validation it is {percent(1 - INSIDE, 0)} at most. The metrics above are "
        "of all images.",
        good=share <= 2 * (1 - INSIDE),
        record=record,
    )
