"""Upgrade configurations saved by earlier versions.

Run folders and checkpoints hold the resolved configuration, which names classes by ``_target_``. Classes that
were moved and keys that were renamed are mapped by exact name; everything else is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOVED: dict[str, str] = {
    "heritage.analysis.assessment.Settings": "heritage.evaluation.assessment.EvaluationOptions",
    "heritage.analysis.comparison.Resampling": "heritage.comparison.comparison.ResamplingOptions",
    "heritage.auditing.Audits": "heritage.evaluation.audits.AuditOptions",
    "heritage.cluster.resources.Here": "heritage.cluster.resources.InProcess",
    "heritage.collection.manners.Endpoint": "heritage.collection.http.settings.Endpoint",
    "heritage.collection.manners.Patience": "heritage.collection.http.settings.RetryPolicy",
    "heritage.curation.raw.class_folders": "heritage.curation.raw_sources.class_folders",
    "heritage.curation.raw.collected": "heritage.curation.raw_sources.collected",
    "heritage.curation.raw.rebuild": "heritage.curation.raw_sources.rebuild",
    "heritage.curation.raw.table": "heritage.curation.raw_sources.table",
    "heritage.curation.resizing.Resizing": "heritage.core.resizing.Resizing",
    "heritage.data.sampling.Natural": "heritage.data.sampling.InstanceBalanced",
    "heritage.explanation.Settings": "heritage.explanation.explain.ExplanationOptions",
    "heritage.serving.limits.Limits": "heritage.server.limits.Limits",
    "heritage.training.checkpoints.Best": "heritage.training.callbacks.checkpoints.BestCheckpoint",
    "heritage.training.checkpoints.early_stopping": "heritage.training.callbacks.checkpoints.early_stopping",
    "heritage.training.deferral.DeferredWeighting": "heritage.training.callbacks.deferred_weighting.DeferredWeighting",
    "heritage.training.deferral.none": "heritage.training.callbacks.deferred_weighting.no_schedule",
    "heritage.training.device_stats.DeviceStats": "heritage.training.callbacks.device_stats.DeviceStats",
    "heritage.training.ema.Ema": "heritage.training.callbacks.ema.Ema",
    "heritage.training.finetuning.FineTuning": "heritage.training.callbacks.finetuning.FineTuning",
    "heritage.training.finite.FiniteLoss": "heritage.training.callbacks.finite_loss.FiniteLoss",
    "heritage.training.history.History": "heritage.training.callbacks.history.History",
    "heritage.training.meter.Meter": "heritage.training.callbacks.throughput.ThroughputMonitor",
    "heritage.training.mixing.none": "heritage.training.mixing.no_mixing",
    "heritage.training.progress.RunProgress": "heritage.training.callbacks.progress.RunProgress",
    "heritage.training.safeguard.Safeguard": "heritage.training.callbacks.safeguard.Safeguard",
    "heritage.training.trainer.lightning_trainer": "heritage.training.trainer.TrainerOptions",
    "heritage.training.weighting.none": "heritage.training.weighting.no_weighting",
}
"""``_target_`` of version 0.1 → current."""

RENAMED_KEYS: dict[str, str] = {
    "answer_seconds": "response_seconds",
    "most_walls": "max_walls",
    "speaks": "api",
    "wished_precision": "target_precision",
}
"""Key of version 0.1 → current, wherever it is in a configuration."""

RENAMED_OPTIONS: dict[str, str] = {
    "report.each": "report.images_per_pair",
    "report.pictures": "report.max_images",
    "report.suspects": "report.label_errors",
    "explain.each": "explain.images_per_class",
    "explain.kinds": "explain.pairs",
    "explain.of_kind": "explain.images_per_pair",
    "explain.faith": "explain.faithfulness_images",
    "source.code": "source.museum.code",
}
"""Full key of version 0.1 → current, for options of commands, which no run saves."""


RENAMED_VALUES: dict[str, dict[str, str]] = {"model.weights": {"imagenet": "pretrained"}}
"""Value of an option in earlier versions → current, by full key; commands understand both."""

RENAMED_CHOICES: dict[str, dict[str, str]] = {"finetune": {"classifier_anew": "new_classifier"}}
"""Option of a group in version 0.1 → current, by group."""


def upgrade_config(config: Any) -> Any:
    """Return a saved configuration with the current names.

    Args:
        config: Plain data, as read from YAML or a checkpoint; it is not changed.

    Example:
        >>> upgrade_config({"wished_precision": 0.9, "mix": {"_target_": "heritage.training.mixing.none"}})
        {'target_precision': 0.9, 'mix': {'_target_': 'heritage.training.mixing.no_mixing'}}
    """
    if isinstance(config, Mapping):
        config = _with_current_weights(config)
        return {
            RENAMED_KEYS.get(str(key), key): MOVED.get(value, value)
            if key == "_target_" and isinstance(value, str)
            else upgrade_config(value)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [upgrade_config(value) for value in config]
    return config


def _with_current_weights(node: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the node of a network with the current name of pretrained weights; any other node as it is."""
    target, weights = node.get("_target_"), node.get("weights")
    if (
        not isinstance(target, str)
        or not target.startswith("heritage.models.")
        or not isinstance(weights, str)
    ):
        return node
    return {**node, "weights": RENAMED_VALUES["model.weights"].get(weights, weights)}


def upgrade_override(override: str) -> str:
    """Return an override, or a key, of version 0.1 with the current name of its key.

    Example:
        >>> upgrade_override("+wished_precision=0.9")
        '+target_precision=0.9'
    """
    return _rename(override, RENAMED_OPTIONS, RENAMED_KEYS, {**RENAMED_CHOICES, **RENAMED_VALUES})


def first_name(override: str) -> str:
    """Return an override, or a key, with the name that its key had in version 0.1."""
    choices = {group: _inverse(names) for group, names in (RENAMED_CHOICES | RENAMED_VALUES).items()}
    return _rename(override, _inverse(RENAMED_OPTIONS), _inverse(RENAMED_KEYS), choices)


def _rename(
    override: str,
    full: Mapping[str, str],
    leaves: Mapping[str, str],
    choices: Mapping[str, Mapping[str, str]],
) -> str:
    """Rename the key of an override, by its full name, else by its last part, and the value it selects."""
    word, equals, value = override.partition("=")
    key = word.lstrip("+~")
    value = choices.get(key, {}).get(value, value)
    above, dot, leaf = key.rpartition(".")
    return word.removesuffix(key) + full.get(key, f"{above}{dot}{leaves.get(leaf, leaf)}") + equals + value


def _inverse(names: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}
