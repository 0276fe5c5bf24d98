"""The result of a command, as its folder records it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from heritage.core.notebook import html_table, shortened
from heritage.errors import ArgumentError, CheckpointError, TrainingError
from heritage.runs.files import CONFIG_FILE, METRICS_FILE, REPORT_FILE
from heritage.runs.history import read_history
from heritage.runs.record import read_config, read_json

DEFAULT_MONITOR = "val/macro_f1"
"""The objective of a run that keeps no best checkpoint."""

_REPORTS = ("report.html", REPORT_FILE, "comparison.html", "explanation.html", "README.md")
"""The pages and Markdown files that commands write, the richest first."""


@dataclass(frozen=True, repr=False)
class RunResult:
    """The result of a command.

    ``float(result)`` is the objective, which is all that a Hydra sweeper (Optuna, Ax, Nevergrad) needs.

    Attributes:
        verb: The command.
        folder: The folder it wrote: a run folder, a data set, the folder of a report, table or export; of a
            multirun the sweep's folder; None for ``publish``, ``serve``,
            ``weights`` and ``plan=true``.
        value: What else the command's function returned; None for most.
    """

    verb: str
    folder: Path | None
    value: Any = None

    def __post_init__(self) -> None:
        """Check the folder.

        Raises:
            ArgumentError: It is not a path.
            CheckpointError: It does not exist.
        """
        given: object = self.folder
        if given is None:
            return
        remedy = "give the folder that the command wrote"
        if not isinstance(given, str | PathLike):
            raise ArgumentError(
                f"a folder is a path, not a {type(given).__name__}", where="folder", remedy=remedy
            )
        folder = Path(given)
        if not os.fspath(given) or not folder.is_dir():
            what = "no such folder" if os.fspath(given) else "an empty path"
            raise CheckpointError(what, where=f"folder={given}", remedy=remedy)
        object.__setattr__(self, "folder", folder)  # the dataclass is frozen

    @cached_property
    def details(self) -> dict[str, Any]:
        """The content of ``metrics.json``; empty for commands that measure nothing.

        Raises:
            CheckpointError: The file is damaged.
        """
        return {} if self.folder is None else read_json(self.folder, METRICS_FILE)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Metrics by name, such as ``accuracy``, ``macro_f1`` and ``recall/<class>``.

        They are those of ``metrics.json`` without intervals and counts (`details`), and for a training run
        also those of the best checkpoint's validation (``val/loss``, ``val/macro_f1``, …).
        """
        values = {name: value for name, value in self.details.items() if isinstance(value, float)}
        for average in ("macro", "weighted"):
            for name, value in self.details.get(f"{average}_avg", {}).items():
                if value is not None:
                    values.setdefault(f"{average}_{name}", value)
        for label, scores in self.details.get("classes", {}).items():
            values |= {f"{name}/{label}": value for name, value in scores.items() if isinstance(value, float)}
        return values | self._validation

    @cached_property
    def runs(self) -> dict[str, RunResult]:
        """The finished runs of a multirun by the names of their folders, ``seed=0``; empty for others."""
        if self.folder is None or (self.folder / METRICS_FILE).is_file():
            return {}
        folders = sorted(path.parent for path in self.folder.glob(f"*/{METRICS_FILE}"))
        return {folder.name: RunResult(self.verb, folder) for folder in folders}

    @property
    def report(self) -> Path | None:
        """The page or Markdown file of its report; None if it writes none."""
        if self.folder is None:
            return None
        return next((self.folder / name for name in _REPORTS if (self.folder / name).is_file()), None)

    @cached_property
    def objective(self) -> float | None:
        """The value that a sweeper optimizes; None without one.

        It is the configuration's ``objective``, a validation metric at the best checkpoint; by default that
        metric by which the checkpoint was chosen.
        """
        return self._validation.get(self._config.get("objective") or self._monitor[0])

    def __float__(self) -> float:
        if self.objective is None:
            raise TrainingError(
                "the run has no objective to optimize",
                where=self.folder or self.verb,
                remedy="let it validate, keep callbacks.history, and do not set lr_find or plan",
            )
        return self.objective

    def __repr__(self) -> str:
        score = f", macro_f1={self.metrics['macro_f1']:.3f}" if "macro_f1" in self.metrics else ""
        folder = "" if self.folder is None else f", folder='{shortened(self.folder)}'"
        return f"RunResult({self.verb}{folder}{score})"

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {}
        if self.folder is not None:
            rows["folder"] = self.folder
        if self.report is not None:
            rows["report"] = self.report
        return html_table(f"heritage {self.verb}", rows | self.metrics)

    @cached_property
    def _config(self) -> dict[str, Any]:
        if self.verb != "train" or self.folder is None or not (self.folder / CONFIG_FILE).is_file():
            return {}
        return read_config(self.folder)

    @property
    def _monitor(self) -> tuple[str, str]:
        """The metric by which the best checkpoint was chosen, and its mode."""
        best = (self._config.get("callbacks") or {}).get("best") or {}
        return best.get("monitor", DEFAULT_MONITOR), best.get("mode", "max")

    @cached_property
    def _validation(self) -> dict[str, float]:
        """The validation metrics of the epoch of the best checkpoint; empty without a validation."""
        if self.verb != "train" or self.folder is None:
            return {}
        monitor, mode = self._monitor
        epochs = [row for row in read_history(self.folder) if monitor in row]
        if not epochs:
            return {}
        choose = min if mode == "min" else max
        best = choose(epochs, key=lambda row: row[monitor])  # of equal ones the first, as Lightning does
        return {name: value for name, value in best.items() if name.startswith("val/")}
