"""The decision rule of networks, from the calibration in their run folders, and under another prior."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from heritage.features.extractor import backbone_digest
from heritage.inference.checkpoint import TrainedClassifier, with_views
from heritage.inference.ensemble import calibration_variant, folders
from heritage.inference.prior import Prior, prior_shares, read_prior, require_validation
from heritage.metrics.prior import shift_to_prior
from heritage.models.views import Views
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.calibration import read_calibration
from heritage.runs.files import OUTLIERS_FILE, variant_file
from heritage.runs.outliers import OutlierRule, read_outliers
from heritage.runs.validation_outputs import read_validation_outputs

log = logging.getLogger(__name__)


def read_rule(
    members: Sequence[TrainedClassifier], tta: Views = "none", prior: Prior | None = None
) -> DecisionRule:
    """Return the decision rule of one network, or of several whose probabilities are averaged.

    Args:
        members: The networks.
        tta: The test-time augmentation. If `heritage evaluate` did not fit a calibration for it, the rule is
            that of one view, and its `DecisionRule.notes` state it.
        prior: The class frequencies to predict for; None leaves those of validation.

    Raises:
        CheckpointError: A file is damaged.
        ConfigError: The prior is faulty, or there are no validation logits to apply it with.
    """
    rule = DecisionRule()
    variants: list[tuple[str, Views]] = [(calibration_variant(members), "none")]
    if tta != "none":
        viewed = [with_views(one, tta) for one in members]
        variants.insert(0, (calibration_variant(viewed), tta))
    for variant, views in variants:
        for folder in folders(members):
            fitted = read_calibration(folder, variant)
            if fitted is None:
                continue
            outputs = read_validation_outputs(folder, members[0].classes, fitted, variant)
            # the logits of other views have another distribution
            rule = DecisionRule.of(fitted, views, outputs if views == tta else None)
            return rule if prior is None else under_prior(rule, prior, members[0].classes, tta)
    return rule if prior is None else under_prior(rule, prior, members[0].classes, tta)


def read_outlier_rule(
    members: Sequence[TrainedClassifier], tta: Views = "none", *, wanted: bool = True
) -> OutlierRule | None:
    """Return the score of photographs unlike the training images; None if nothing can be claimed.

    Of several networks whose probabilities are averaged it is the first one's.

    Args:
        members: The networks.
        tta: The test-time augmentation: a score belongs to features that are averaged over these views.
        wanted: False returns None.

    Raises:
        CheckpointError: The file is damaged.
    """
    folder, net = members[0].folder, members[0].model.net
    if not wanted or folder is None:
        return None
    rule = read_outliers(folder, "" if tta == "none" else tta)
    if rule is not None and rule.weights != backbone_digest(net):
        log.warning(
            "%s was fitted for other weights: photographs unlike the training images are not marked",
            folder / variant_file(OUTLIERS_FILE, "" if tta == "none" else tta),
        )
        return None
    return rule


def under_prior(rule: DecisionRule, prior: Prior, classes: Sequence[str], tta: str) -> DecisionRule:
    """Return a rule for other class frequencies, with the threshold of validation images weighted to them.

    Args:
        rule: The rule for the frequencies of validation.
        prior: The class frequencies to predict for.
        classes: The class list, length K.
        tta: The test-time augmentation of the predictions.

    Raises:
        ConfigError: The prior is faulty, or there are no validation logits to apply it with.
    """
    wanted = read_prior(prior, classes)
    outputs = require_validation(rule.outputs if tta == rule.views else None, prior)
    shares = prior_shares(wanted, outputs)
    moved = shift_to_prior(outputs.calibration, outputs.logits, outputs.targets, outputs.groups, shares)
    named = dict(zip(classes, shares.tolist(), strict=True))
    return rule.under(moved, named)
