"""``GET /about``: the facts about the network and the limits that the page shows."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from heritage.core.class_names import class_names, read_class_names
from heritage.core.image_io import FORMATS
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CIVILISATIONS
from heritage.errors import CheckpointError
from heritage.inference.checkpoint import TrainedClassifier
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.predictor import Predictor
from heritage.runs.files import DATA_FILE, METRICS_FILE
from heritage.runs.record import read_json
from heritage.server.examples import ExampleImages
from heritage.server.limits import Limits
from heritage.server.schemas import CalibrationFacts, ModelInfo
from heritage.server.similar import SimilarObjects

log = logging.getLogger(__name__)

_RARE = 0.5  # of the mean number of training images per class


def weights_digest(trained: TrainedClassifier) -> str:
    """Return the SHA-256 of a checkpoint."""
    with trained.file.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_info(
    predictor: Predictor,
    limits: Limits,
    similar: SimilarObjects | None,
    examples: ExampleImages,
    *,
    manifest: Manifest | None,
    weights: str,
    verdicts: bool,
) -> ModelInfo:
    """Return the facts about a network and the limits of the server.

    Args:
        predictor: The network.
        limits: Limits of requests.
        similar: The index of similar objects, if there is one.
        examples: The example images.
        manifest: The data set, if it is available.
        weights: The SHA-256 of the checkpoint.
        verdicts: Whether verdicts are kept.

    Raises:
        ManifestError: The data set's names of classes are damaged.
    """
    trained, decision_rule = predictor.trained, predictor.decision_rule
    metrics = _record(trained, METRICS_FILE)
    train = _record(trained, DATA_FILE).get("counts", {}).get("train", {})
    mean = sum(train.values()) / max(len(train), 1)
    given = similar.names if similar is not None else {}
    if manifest is not None:
        given = read_class_names(manifest.root)
    translations = class_names(trained.classes, given)
    return ModelInfo(
        classes=list(trained.classes),
        names={
            name: translations.get("en", {}).get(name) or CIVILISATIONS.get(name, name)
            for name in trained.classes
        },
        translations=translations,
        civilisations=set(trained.classes) <= set(CIVILISATIONS),
        calibration=str(decision_rule),
        calibrated=decision_rule.claim.calibrated,
        probabilities=f"{decision_rule.claim.sentence} {decision_rule.threshold_sentence}",
        facts=_facts(decision_rule),
        crop=trained.crop_pct,
        threshold=decision_rule.threshold,
        coverage=None if decision_rule.sets is None else decision_rule.sets.coverage,
        all_unsure=decision_rule.all_unsure,
        notes=list(predictor.notes),
        prior=None if decision_rule.prior is None else dict(decision_rule.prior),
        drawn=trained.training_images.all_drawn,
        drawn_images=trained.training_images.drawn or 0,
        training_images=trained.training_images.images,
        macro_f1=metrics.get("macro_avg", {}).get("f1"),
        test_images=metrics.get("images"),
        rare=[name for name, count in train.items() if count < _RARE * mean],
        similar=similar is not None,
        typical_similarity=None if similar is None else similar.typical_similarity(),
        pictures=limits.pictures,
        megabytes=limits.megabytes,
        megapixels=limits.megapixels,
        formats=list(FORMATS),
        upload_seconds=limits.upload_seconds,
        examples=[f"examples/{number}.jpg" for number in range(len(examples.examples))],
        examples_drawn=examples.drawn,
        outliers=predictor.outliers is not None,
        verdicts=verdicts,
        network=weights[:12],
    )


def _facts(rule: DecisionRule) -> CalibrationFacts:
    fitted = rule.calibration
    if fitted is None:
        return CalibrationFacts(code=rule.claim.code)
    held_out = fitted.held_out
    return CalibrationFacts(
        code=rule.claim.code,
        temperature=fitted.temperature,
        images=fitted.fitted_on.images,
        groups=fitted.fitted_on.groups,
        error_before=None if held_out is None else held_out.ece_before,
        error_after=None if held_out is None else held_out.ece_after,
        target_precision=fitted.target_precision if rule.threshold == fitted.threshold else None,
    )


def _record(trained: TrainedClassifier, name: str) -> dict[str, Any]:
    try:
        return {} if trained.folder is None else read_json(trained.folder, name)
    except CheckpointError as error:
        log.warning("%s", error)
        return {}
