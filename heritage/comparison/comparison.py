"""Compare settings on one test set: tables with intervals, paired tests, published values of the thesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student  # type: ignore[import-untyped]

from heritage.comparison.paired import (
    DECISIVE,
    Change,
    Difference,
    compared_metrics,
    differences,
    mean_scores,
    required_resamples,
    resampled_scores,
    run_scores,
)
from heritage.comparison.published import AVERAGES, IN_WORDS, TABLES, Published, published
from heritage.core.numbers import counted, with_interval
from heritage.core.taxonomy import CLASSES
from heritage.core.types import PositiveInt, Seed
from heritage.metrics.bootstrap import Interval, interval
from heritage.metrics.classification import MEASURES, absent_note
from heritage.metrics.registry import METRICS
from heritage.reports.tables import Table
from heritage.runs.description import EXPERIMENT
from heritage.runs.read_predictions import FinishedRun
from heritage.runs.training_images import drawn_note

Floats = npt.NDArray[np.float64]

_AVERAGE_KEYS = {"macro_avg": "macro", "weighted_avg": "weighted"}
_EQUAL_BUDGET = 1.02  # a run ends with the batch in which its number of images is reached


@dataclass(frozen=True, slots=True)
class ResamplingOptions:
    """Options of the bootstrap: the least number of resamples of groups, and their random seed."""

    resamples: PositiveInt
    seed: Seed


@dataclass(frozen=True)
class Setting:
    """Runs that differ by the seed only.

    Attributes:
        name: The choices that distinguish it from the other settings.
        runs: The runs, ordered by seed.
    """

    name: str
    runs: tuple[FinishedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs."""
        return [run.description.seed for run in self.runs]

    @cached_property
    def scores(self) -> list[dict[str, float]]:
        """The scores of each run, by the names of `heritage.comparison.paired.run_scores`."""
        return [run_scores(run) for run in self.runs]

    def values(self, name: str) -> Floats:
        """Return a score of each run, such as ``accuracy``, ``macro_recall`` or ``f1/asian``."""
        return np.array([scores[name] for scores in self.scores])

    def mean(self, name: str) -> float:
        """Return the mean of a score over seeds."""
        return float(self.values(name).mean())

    def over_seeds(self, name: str) -> float | None:
        """Return the half width of the mean's 95 % interval over seeds (Student's t); None for one seed."""
        values = self.values(name)
        if len(values) < 2:
            return None
        error = float(values.std(ddof=1)) / len(values) ** 0.5
        return float(error * student.ppf(0.975, len(values) - 1))


@dataclass(frozen=True)
class Comparison:
    """Settings compared on one test set.

    Attributes:
        settings: In descending order of macro-F1.
        resamples: Number of resamples of groups.
        seed: Random seed of the resamples.
    """

    settings: tuple[Setting, ...]
    resamples: int
    seed: int

    @property
    def first(self) -> FinishedRun:
        """The first run; all runs have the same test set."""
        return self.settings[0].runs[0]

    @cached_property
    def resampled(self) -> list[dict[str, Floats]]:
        """Mean scores over the runs of each setting, on the same resamples for all; each (R,), by name."""
        runs = [run for setting in self.settings for run in setting.runs]
        scores = resampled_scores(runs, self.resamples, self.seed)
        return [mean_scores([next(scores) for _ in setting.runs]) for setting in self.settings]

    @cached_property
    def differences(self) -> list[Difference]:
        """All pairs of settings."""
        points = [
            {metric.name: setting.mean(metric.name) for metric in compared_metrics()}
            for setting in self.settings
        ]
        return differences([setting.runs for setting in self.settings], self.resampled, points)

    def interval(self, setting: int, name: str) -> Interval:
        """Return the interval of a setting's mean score over resamples of groups."""
        return interval(self.resampled[setting][name])

    def overview(self) -> Table:
        """Return the headline metrics of each setting."""
        rows = []
        for index, setting in enumerate(self.settings):
            cells = [setting.name, str(len(setting.runs))]
            for metric in compared_metrics():
                bounds, spread = self.interval(index, metric.name), setting.over_seeds(metric.name)
                cell = with_interval(setting.mean(metric.name), bounds.low, bounds.high, value_digits=4)
                cells.append(cell if spread is None else f"{cell} ± {spread:.3f}")
            rows.append(cells)
        note = "In brackets: 95 % interval over resamples of groups; ±: 95 % interval of the mean over seeds."
        if self.first.folds > 1:
            note += (
                f" Predictions of {self.first.folds} folds are pooled: each image is predicted by the "
                "network that was not trained on its group."
            )
        note = " ".join([note + self.budget(), *self.notes])
        head = ("setting", "seeds", *(metric.title for metric in compared_metrics()))
        return Table("overview", "All settings in descending order of macro-F1", head, rows, note)

    @property
    def notes(self) -> list[str]:
        """What the test set cannot show: photographs, or classes without images."""
        counts = np.bincount(self.first.targets, minlength=len(self.first.classes)).tolist()
        return [
            *drawn_note(len(self.first.images), self.first.drawn),
            *absent_note(dict(zip(self.first.classes, counts, strict=True))),
        ]

    def budget(self) -> str:
        """Return a note about the number of training images; empty if a run did not record it."""
        recorded = [run.images_seen for setting in self.settings for run in setting.runs]
        known = [number for number in recorded if number is not None]
        if len(known) < len(recorded):
            return ""
        least, most = min(known), max(known)
        if most <= _EQUAL_BUDGET * least:
            return f" Each network was trained on {counted(least, 'image')}, up to a batch."
        return (
            f" Networks were trained on {least:,} to {most:,} images, and longer training alone improves a "
            "network: set trainer.max_samples to give all the same number."
        )

    def classes(self) -> Table:
        """Return recall and precision of each class for each setting."""
        names = self.first.classes
        rows = [
            [one.name, *(f"{one.mean(f'recall/{k}'):.3f} / {one.mean(f'precision/{k}'):.3f}" for k in names)]
            for one in self.settings
        ]
        return Table("classes", "Recall / precision of each class", ("setting", *names), rows)

    def tests(self) -> Table:
        """Return all pairs of settings, the largest difference in macro-F1 first."""
        others = [metric for metric in compared_metrics() if metric.name != DECISIVE]
        ordered = sorted(self.differences, key=lambda pair: -abs(pair.changes[DECISIVE].value))
        rows = [
            [
                f"{self.settings[pair.first].name} − {self.settings[pair.second].name}",
                _change(pair.changes[DECISIVE]),
                _p(pair.p),
                *(_change(pair.changes[metric.name]) for metric in others),
                f"{pair.only_first:,} : {pair.only_second:,}",
                _p(pair.mcnemar),
                "yes" if pair.significant else "no",
            ]
            for pair in ordered
        ]
        head = (
            "pair",
            METRICS[DECISIVE].label,
            "p (Holm)",
            *(metric.title for metric in others),
            "only one is correct",
            "p (McNemar)",
            "significant",
        )
        note = (
            "Intervals and p are from the same resamples of groups for both settings; p is of macro-F1, with "
            f"Holm's correction for the number of pairs, {len(rows)}. McNemar's exact test assumes "
            "independent images and is not corrected."
        )
        if any(len(one.runs) > 1 for one in self.settings):
            note += " It and the counts beside it are of the first seed of each setting."
        if any(len(one.runs) == 1 for one in self.settings):
            note += (
                " Tests of a setting with one seed are about this network, not about another training run."
            )
        return Table("tests", "Paired tests of all differences", head, rows, note)

    @property
    def published(self) -> tuple[Published, ...]:
        """The published runs of the thesis; none if the classes are not the thesis's six."""
        return published() if set(self.first.classes) == set(CLASSES) else ()

    def thesis_tables(self) -> list[Table]:
        """Return the thesis's tables with our values beside the published ones; none for other classes."""
        return [self._thesis_table(table) for table in TABLES] if self.published else []

    def match(self, run: Published) -> int | None:
        """Return the index of our best setting that corresponds to a published run; None if there is none."""
        return next(iter(self._matching(run)), None)

    def _matching(self, run: Published) -> list[int]:
        balances = (run.balance, IN_WORDS.get(run.balance))
        ours = [setting.runs[0].description for setting in self.settings]
        return [
            index
            for index, one in enumerate(ours)
            if (one.model, one.optimizer) == (run.model, run.optimizer) and one.balance in balances
        ]

    def _thesis_table(self, table: str) -> Table:
        runs = [run for run in self.published if run.table == table]
        rows = []
        for run in runs:
            ours = self.match(run)
            label = run.balance if table == "B.1" else run.optimizer
            for name in (*(row for row in run.rows if row not in AVERAGES), "accuracy", *AVERAGES):
                cells = [f"{label}: {name.replace('_avg', ' average')}"]
                for measure in MEASURES:
                    cells += self._beside(run, ours, name, measure)
                rows.append(cells)
        head = ["", *(f"{measure}{end}" for measure in ("precision", "recall", "F1")
                      for end in ("", " ours", " difference"))]  # fmt: skip
        matched = sum(self.match(run) is not None for run in runs)
        note = f"{matched} of {len(runs)} published settings have a run of ours here."
        for run in runs:
            candidates = self._matching(run)
            if len(candidates) > 1:
                label = run.balance if table == "B.1" else run.optimizer
                best = self.settings[candidates[0]].name
                note += f" Ours beside {label} is {best}, the best of {len(candidates)}."
        if matched:
            note += " In brackets: 95 % interval over resamples of groups. The thesis used another test set."
        return Table(f"thesis-{table}", f"Table {table}: {TABLES[table]}", head, rows, note)

    def _beside(self, run: Published, ours: int | None, row: str, measure: str) -> list[str]:
        if row == "accuracy":
            if measure != "f1":
                return ["", "", ""]
            theirs, key = run.accuracy, "accuracy"
        else:
            theirs = run.rows[row][MEASURES.index(measure)]
            key = f"{_AVERAGE_KEYS[row]}_{measure}" if row in AVERAGES else f"{measure}/{row}"
        if ours is None or (row not in (*AVERAGES, "accuracy") and row not in self.first.classes):
            return [f"{theirs:.4f}", "–", "–"]
        mean, bounds = self.settings[ours].mean(key), self.interval(ours, key)
        ours_written = with_interval(mean, bounds.low, bounds.high, value_digits=4)
        return [f"{theirs:.4f}", ours_written, f"{mean - theirs:+.4f}"]


def compare(runs: Sequence[FinishedRun], resampling: ResamplingOptions) -> Comparison:
    """Group runs into settings and order these by macro-F1.

    Args:
        runs: Runs with one test set.
        resampling: Options of the bootstrap.
    """
    common = set.intersection(*(set(run.description.others) for run in runs))
    shown = {part for part in ("model", "optimizer", "balance")
             if len({getattr(run.description, part) for run in runs}) > 1}  # fmt: skip
    grouped: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run in runs:
        about = run.description
        words = [word for word in about.others if word not in common]
        grouped.setdefault((about.model, about.optimizer, about.balance, *words), []).append(run)
    names = {key: _name(key, shown, experiment=True) for key in grouped}
    shorter = {key: _name(key, shown, experiment=False) for key in grouped}
    if len(set(shorter.values())) == len(shorter):
        names = shorter
    settings = [setting for key, members in grouped.items() for setting in _by_seed(names[key], members)]
    settings.sort(key=lambda setting: -setting.mean(DECISIVE))
    resamples = required_resamples(resampling.resamples, len(settings))
    return Comparison(tuple(settings), resamples, resampling.seed)


def _by_seed(name: str, runs: Sequence[FinishedRun]) -> list[Setting]:
    """Return a setting of the runs; runs that repeat a seed become separate settings."""
    settings = []
    seeds = Counter(run.description.seed for run in runs)
    for repetition in range(max(seeds.values())):
        members = [
            run
            for index, run in enumerate(runs)
            if sum(other.description.seed == run.description.seed for other in runs[:index]) == repetition
        ]
        members.sort(key=lambda run: run.description.seed)
        title = name if repetition == 0 else f"{name} (again, {members[0].folder.name})"
        settings.append(Setting(title, tuple(members)))
    return settings


def _name(key: tuple[str, ...], shown: set[str], *, experiment: bool) -> str:
    """Return the name of a setting: the choices that differ between settings, and its further overrides."""
    choices = dict(zip(("model", "optimizer", "balance"), key, strict=False))
    words = [word for word in key[len(choices) :] if experiment or not word.startswith(EXPERIMENT)]
    return " ".join([choices[part] for part in choices if part in shown] + words) or choices["model"]


def _change(change: Change) -> str:
    return f"{change.value:+.4f} ({change.interval.low:+.3f} – {change.interval.high:+.3f})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
