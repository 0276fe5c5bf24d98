"""The front matter of a model card: the metadata that the Hugging Face hub and timm read."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml  # type: ignore[import-untyped]

from heritage.core.escaping import one_line
from heritage.exporters.card_metrics import CardMetric, CardMetrics

_TYPES = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "macro-F1": "f1"}
"""The hub's names of metrics."""

HUB_LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-3.0", "cc-by-sa-4.0",
     "cc-by-sa-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "agpl-3.0", "lgpl-3.0",
     "mpl-2.0", "eupl-1.2", "unlicense", "openrail", "etalab-2.0"}
)  # fmt: skip
"""The hub's identifiers of licences that weights have; others are ``other`` with a name."""


def model_card_head(
    *,
    title: str,
    licence: str | None,
    library: str,
    metrics: CardMetrics | None,
    data: str,
    dataset: str | None,
    base_model: str | None = None,
) -> str:
    """Return the front matter as YAML between its marks.

    Args:
        title: The network's title.
        licence: SPDX identifier of the weights; None if it is not stated.
        library: ``timm`` or ``heritage``.
        metrics: What the run measured on its test split.
        data: The data set's name.
        dataset: ``owner/name`` of the data set on the hub; None if it is not there.
        base_model: ``owner/name`` of the network whose weights training started from; None without one.
    """
    head: dict[str, Any] = licence_fields(licence)
    if base_model is not None:
        head["base_model"] = base_model
    head["library_name"] = library
    head["pipeline_tag"] = "image-classification"
    head["tags"] = ["image-classification", "cultural-heritage", "museum"] + [library] * (
        library != "heritage"
    )
    if dataset is not None:
        head["datasets"] = [dataset]
    if metrics is not None:
        head["metrics"] = sorted({_metric_type(metric) for metric in metrics.overall})
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": one_line(data), "type": dataset or _slug(data), "split": "test"},
            "metrics": [_metric(metric) for metric in metrics.overall],
        }
        head["model-index"] = [{"name": one_line(title), "results": [result]}]
    text: str = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{text}---"


def licence_fields(licence: str | None) -> dict[str, Any]:
    """Return the hub's fields for the licence of weights.

    Example:
        >>> licence_fields("Apache-2.0"), licence_fields(None)
        ({'license': 'apache-2.0'}, {'license': 'other', 'license_name': 'not-stated'})
    """
    name = "not-stated" if licence is None else licence.lower()
    return {"license": name} if name in HUB_LICENCES else {"license": "other", "license_name": name}


def _metric(metric: CardMetric) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": _metric_type(metric),
        "name": metric.name,
        "value": round(metric.value, 4),
    }
    if not math.isnan(metric.low):
        entry["name"] = f"{metric.name} (95 % interval {metric.low:.3f}–{metric.high:.3f})"
        entry["args"] = {"interval": [round(metric.low, 4), round(metric.high, 4)], "level": 0.95}
    return entry


def _metric_type(metric: CardMetric) -> str:
    return _TYPES.get(metric.name) or _slug(metric.name)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
