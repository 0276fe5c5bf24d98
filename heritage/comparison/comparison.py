"""Runs side by side: what each setting reaches, what the thesis reached, and which differences are real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student  # type: ignore[import-untyped]

from heritage.comparison.paired import Difference, differences, enough, resampled_confusions, resampled_scores
from heritage.comparison.published import AVERAGES, IN_WORDS, TABLES, Published, published
from heritage.core.types import NonNegativeInt, PositiveInt
from heritage.metrics.bootstrap import Interval, interval
from heritage.metrics.classification import Scores, scores
from heritage.reports.tables import Table
from heritage.runs.description import EXPERIMENT
from heritage.runs.finished import FinishedRun

Floats = npt.NDArray[np.float64]

_AVERAGE_KEYS = {"macro_avg": "macro", "weighted_avg": "weighted"}
_MEASURES = ("precision", "recall", "f1")
_ALIKE = 1.02  # a run ends with the batch in which its number of images is reached


@dataclass(frozen=True, slots=True)
class ResamplingOptions:
    """How intervals are made: how many resamples of groups, at least, and their seed."""

    resamples: PositiveInt
    seed: NonNegativeInt


@dataclass(frozen=True)
class Setting:
    """Runs that differ by no more than the seed.

    Attributes:
        name: Short: what tells it from the other settings.
        runs: Ordered by seed.
    """

    name: str
    runs: tuple[FinishedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs."""
        return [run.recipe.seed for run in self.runs]

    @cached_property
    def scores(self) -> list[Scores]:
        """The scores of each run."""
        return [scores(run.confusion) for run in self.runs]

    def values(self, name: str) -> Floats:
        """Return a score of each run: accuracy, macro_f1, f1/asian, macro_avg recall as macro_recall, …."""
        return np.array([_value(one, self.runs[0].classes, name) for one in self.scores])

    def mean(self, name: str) -> float:
        """Return the mean of a score over seeds."""
        return float(self.values(name).mean())

    def over_seeds(self, name: str) -> float | None:
        """Return the half width of the 95 % interval of the mean over seeds (Student's t); None for one."""
        values = self.values(name)
        if len(values) < 2:
            return None
        error = float(values.std(ddof=1)) / len(values) ** 0.5
        return float(error * student.ppf(0.975, len(values) - 1))


@dataclass(frozen=True)
class Comparison:
    """Settings on one test set.

    Attributes:
        settings: Best macro-F1 first.
        resamples: Of groups, for intervals.
        seed: Of the resamples.
    """

    settings: tuple[Setting, ...]
    resamples: int
    seed: int

    @property
    def first(self) -> FinishedRun:
        """Any run: all have the same test set."""
        return self.settings[0].runs[0]

    @cached_property
    def resampled(self) -> list[dict[str, Floats]]:
        """Scores of each setting on each resample, the same draws for all."""
        every = [run for one in self.settings for run in one.runs]
        confusions = resampled_confusions(every, self.resamples, self.seed)
        ends = np.cumsum([len(one.runs) for one in self.settings])
        parts = zip(self.settings, np.split(confusions, ends[:-1]), strict=True)
        return [resampled_scores(one.runs, cells) for one, cells in parts]

    @cached_property
    def differences(self) -> list[Difference]:
        """Each setting against each other one."""
        points = [{name: one.mean(name) for name in ("accuracy", "macro_f1")} for one in self.settings]
        return differences([one.runs for one in self.settings], self.resampled, points)

    def interval(self, setting: int, name: str) -> Interval:
        """Return the interval of a setting's mean score."""
        return interval(self.resampled[setting][name])

    def overview(self) -> Table:
        """Return a row for each setting."""
        rows = []
        for place, one in enumerate(self.settings):
            cells = [one.name, str(len(one.runs))]
            for name in ("accuracy", "balanced_accuracy", "macro_f1"):
                bounds, spread = self.interval(place, name), one.over_seeds(name)
                said = f"{one.mean(name):.4f} ({bounds.low:.3f}–{bounds.high:.3f})"
                cells.append(said if spread is None else f"{said} ± {spread:.3f}")
            rows.append(cells)
        note = "In brackets 95 % of resamples of groups; ± is the 95 % interval of the mean over seeds."
        if self.first.folds > 1:
            note += (
                f" Answers of {self.first.folds} folds are put together: each image is asked of the network "
                "that saw nothing of its group."
            )
        note += self.budget()
        head = ("setting", "seeds", "accuracy", "balanced accuracy", "macro-F1")
        return Table("overview", "All settings, the best macro-F1 first", head, rows, note)

    def budget(self) -> str:
        """Say how many images the networks were trained on; nothing where one of them does not say it."""
        seen = [run.images_seen for one in self.settings for run in one.runs]
        known = [number for number in seen if number is not None]
        if len(known) < len(seen):
            return ""
        least, most = min(known), max(known)
        if most <= _ALIKE * least:
            return f" Each network saw {least:,} images, up to a batch."
        return (
            f" Networks saw from {least:,} to {most:,} images: training longer helps by itself, and "
            "trainer.max_samples gives all the same."
        )

    def classes(self) -> Table:
        """Return each setting's recall and precision of each class."""
        names = self.first.classes
        rows = [
            [one.name, *(f"{one.mean(f'recall/{k}'):.3f} / {one.mean(f'precision/{k}'):.3f}" for k in names)]
            for one in self.settings
        ]
        return Table("classes", "Recall / precision of each class", ("setting", *names), rows)

    def tests(self) -> Table:
        """Return all pairs, the largest difference first."""
        rows = []
        for one in sorted(self.differences, key=lambda found: -abs(found.macro_f1)):
            accuracy, f1 = one.accuracy_interval, one.macro_f1_interval
            rows.append(
                [
                    f"{self.settings[one.first].name} − {self.settings[one.second].name}",
                    f"{one.macro_f1:+.4f} ({f1.low:+.3f} – {f1.high:+.3f})",
                    _p(one.p),
                    f"{one.accuracy:+.4f} ({accuracy.low:+.3f} – {accuracy.high:+.3f})",
                    f"{one.only_first:,} : {one.only_second:,}",
                    _p(one.mcnemar),
                    "yes" if one.significant else "no",
                ]
            )
        head = ("pair", "macro-F1", "p (Holm)", "accuracy", "only one is right", "p (McNemar)", "real?")
        note = (
            "Intervals and p from the same resamples of groups for both; Holm's correction for all "
            f"{len(rows)} pairs. McNemar's exact test takes images as independent and is not corrected."
        )
        if any(len(one.runs) > 1 for one in self.settings):
            note += " It and the count beside it are of each setting's first seed."
        if any(len(one.runs) == 1 for one in self.settings):
            note += " Of a setting with one seed they speak of this network, not of the next one trained so."
        return Table("tests", "Which differences are real", head, rows, note)

    def thesis_tables(self) -> list[Table]:
        """Return the thesis's tables with our figures beside the published ones."""
        return [self._thesis_table(table) for table in TABLES]

    def match(self, run: Published) -> int | None:
        """Return our setting that a published run is to be held against, the best one; None without any."""
        found = self._matching(run)
        return found[0] if found else None

    def _matching(self, run: Published) -> list[int]:
        wanted, remedies = (run.model, run.optimizer), (run.balance, IN_WORDS.get(run.balance))
        recipes = [one.runs[0].recipe for one in self.settings]
        return [place for place, recipe in enumerate(recipes)
                if (recipe.model, recipe.optimizer) == wanted and recipe.balance in remedies]  # fmt: skip

    def _thesis_table(self, table: str) -> Table:
        runs = [run for run in published() if run.table == table]
        rows = []
        for run in runs:
            ours = self.match(run)
            label = run.balance if table == "B.1" else run.optimizer
            for name in (*(row for row in run.rows if row not in AVERAGES), "accuracy", *AVERAGES):
                cells = [f"{label}: {name.replace('_avg', ' average')}"]
                for measure in _MEASURES:
                    cells += self._beside(run, ours, name, measure)
                rows.append(cells)
        head = ["", *(f"{measure}{end}" for measure in ("precision", "recall", "F1")
                      for end in ("", " ours", " difference"))]  # fmt: skip
        known = sum(self.match(run) is not None for run in runs)
        note = f"{known} of {len(runs)} published settings have a run of ours here."
        for run in runs:
            rivals = self._matching(run)
            if len(rivals) > 1:
                label = run.balance if table == "B.1" else run.optimizer
                note += f" Ours beside {label} is {self.settings[rivals[0]].name}, the best of {len(rivals)}."
        if known:
            note += " Beneath ours: 95 % of resamples of groups. Another test set than the thesis's."
        return Table(f"thesis-{table}", f"Table {table}: {TABLES[table]}", head, rows, note)

    def _beside(self, run: Published, ours: int | None, row: str, measure: str) -> list[str]:
        if row == "accuracy":
            if measure != "f1":
                return ["", "", ""]
            theirs, key = run.accuracy, "accuracy"
        else:
            theirs = run.rows[row][_MEASURES.index(measure)]
            key = f"{_AVERAGE_KEYS[row]}_{measure}" if row in AVERAGES else f"{measure}/{row}"
        if ours is None or (row not in (*AVERAGES, "accuracy") and row not in self.first.classes):
            return [f"{theirs:.4f}", "–", "–"]
        mean, bounds = self.settings[ours].mean(key), self.interval(ours, key)
        return [f"{theirs:.4f}", f"{mean:.4f} ({bounds.low:.3f}–{bounds.high:.3f})", f"{mean - theirs:+.4f}"]


def compare(runs: Sequence[FinishedRun], resampling: ResamplingOptions) -> Comparison:
    """Sort runs into settings and order these by macro-F1."""
    common = set.intersection(*(set(run.recipe.others) for run in runs))
    shown = {part for part in ("model", "optimizer", "balance")
             if len({getattr(run.recipe, part) for run in runs}) > 1}  # fmt: skip
    grouped: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run in runs:
        recipe = run.recipe
        words = [word for word in recipe.others if word not in common]
        key = (recipe.model, recipe.optimizer, recipe.balance, *words)
        grouped.setdefault(key, []).append(run)
    settings = []
    names = {key: _name(key, shown, experiment=True) for key in grouped}
    shorter = {key: _name(key, shown, experiment=False) for key in grouped}
    if len(set(shorter.values())) == len(shorter):
        names = shorter
    for key, members in grouped.items():
        name = names[key]
        seeds = Counter(run.recipe.seed for run in members)
        for number in range(max(seeds.values())):
            # the same seed twice is not another sample of it
            members_now = [
                run
                for place, run in enumerate(members)
                if sum(other.recipe.seed == run.recipe.seed for other in members[:place]) == number
            ]
            members_now.sort(key=lambda run: run.recipe.seed)
            title = name if number == 0 else f"{name} (again, {members_now[0].folder.name})"
            settings.append(Setting(title, tuple(members_now)))
    settings.sort(key=lambda one: -one.mean("macro_f1"))
    return Comparison(tuple(settings), enough(resampling.resamples, len(settings)), resampling.seed)


def _name(key: tuple[str, ...], shown: set[str], *, experiment: bool) -> str:
    """Return what to call a setting: the choices that differ, and its other words."""
    choices = dict(zip(("model", "optimizer", "balance"), key, strict=False))
    words = [word for word in key[len(choices) :] if experiment or not word.startswith(EXPERIMENT)]
    return " ".join([choices[part] for part in choices if part in shown] + words) or choices["model"]


def _value(found: Scores, classes: Sequence[str], name: str) -> float:
    measure, _, label = name.partition("/")
    if label:
        return float(getattr(found, measure)[classes.index(label)])
    if name == "accuracy":
        return found.accuracy
    if name == "balanced_accuracy":
        return float(found.recall[found.support > 0].mean())
    average, _, measure = name.partition("_")
    return float(getattr(getattr(found, average), measure))


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
