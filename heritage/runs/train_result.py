"""The metrics of a training run, as `heritage.run` and Hydra's sweepers receive them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heritage.errors import TrainingError
from heritage.runs.files import CONFIG_FILE, METRICS_FILE, REPORT_FILE
from heritage.runs.history import read_history
from heritage.runs.record import read_config, read_json

DEFAULT_MONITOR = "val/macro_f1"
"""The objective of a run that keeps no best checkpoint."""


@dataclass(frozen=True)
class TrainResult:
    """The result of a training run.

    ``float(result)`` is the objective, which is all that a Hydra sweeper (Optuna, Ax, Nevergrad) needs.

    Attributes:
        folder: The run folder.
        metrics: Test metrics (``test/accuracy``, …), and those of the best checkpoint's validation
            (``val/loss``, …).
        report: ``report.md``; None if the run wrote none.
        objective: The value that a sweeper optimizes; None if the run was not validated.
    """

    folder: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    report: Path | None = None
    objective: float | None = None

    def __float__(self) -> float:
        if self.objective is None:
            raise TrainingError(
                "the run has no objective to optimize",
                where=self.folder,
                remedy="let it validate, keep callbacks.history, and do not set lr_find or plan",
            )
        return self.objective

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{value:.4f}</td></tr>"
            for name, value in self.metrics.items()
        )
        return f"<table><caption>{html.escape(str(self.folder))}</caption>{rows}</table>"


def read_result(folder: Path) -> TrainResult:
    """Return the result of a run folder, finished or not.

    The objective is the configuration's ``objective``, a validation metric at the best checkpoint; by
    default it is the metric which that checkpoint was chosen by.
    """
    config = read_config(folder) if (folder / CONFIG_FILE).is_file() else {}
    best = (config.get("callbacks") or {}).get("best") or {}
    monitor, mode = best.get("monitor", DEFAULT_MONITOR), best.get("mode", "max")
    validation = _best_epoch(folder, monitor, mode)
    report = folder / REPORT_FILE
    return TrainResult(
        folder,
        _test_metrics(folder) | validation,
        report if report.is_file() else None,
        validation.get(config.get("objective") or monitor),
    )


def _best_epoch(folder: Path, monitor: str, mode: str) -> dict[str, float]:
    """Return the validation metrics of the epoch of the best checkpoint; empty without a validation."""
    epochs = [row for row in read_history(folder) if monitor in row]
    if not epochs:
        return {}
    choose = min if mode == "min" else max
    best = choose(epochs, key=lambda row: row[monitor])  # of equal ones the first, as Lightning does
    return {name: value for name, value in best.items() if name.startswith("val/")}


def _test_metrics(folder: Path) -> dict[str, float]:
    from heritage.metrics.registry import METRICS  # NumPy and SciPy: an error of configuration needs neither

    record = read_json(folder, METRICS_FILE)
    if not record:
        return {}
    values: dict[str, Any] = {"accuracy": record["accuracy"], "macro_f1": record["macro_avg"]["f1"]}
    values |= {name: record[name] for name in METRICS if isinstance(record.get(name), float)}
    values |= {f"recall/{name}": scores["recall"] for name, scores in record["classes"].items()}
    # A metric that cannot be computed is null.
    return {f"test/{name}": float(value) for name, value in values.items() if isinstance(value, float | int)}
