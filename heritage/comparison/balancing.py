"""Effects of methods against class imbalance on rare classes, relative to training without balancing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.comparison.comparison import Comparison
from heritage.comparison.paired import DECISIVE, Change
from heritage.core.numbers import with_interval
from heritage.metrics.bootstrap import FEW_GROUPS, Interval, interval
from heritage.reports.tables import Table
from heritage.runs.description import PLAIN

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BalancingEffects:
    """The settings of a comparison relative to the same settings without balancing.

    Attributes:
        comparison: The comparison.
        rarest: The class with the fewest test images.
    """

    comparison: Comparison
    rarest: str

    @classmethod
    def of(cls, comparison: Comparison) -> BalancingEffects:
        """Return the effects of a comparison's settings."""
        first = comparison.first
        counts = np.bincount(first.targets, minlength=len(first.classes)).astype(float)
        counts[counts == 0] = np.inf
        return cls(comparison, first.classes[int(counts.argmin())])

    def baseline(self, setting: int) -> int | None:
        """Return the setting without balancing that is otherwise equal to this one; None if there is none."""
        settings = self.comparison.settings
        family = settings[setting].runs[0].description.family
        for index, other in enumerate(settings):
            description = other.runs[0].description
            if index != setting and description.balance == PLAIN and description.family == family:
                return index
        return None

    def effect(self, setting: int, baseline: int, name: str) -> Change:
        """Return the change in a score, such as ``recall/byzantium``, from the baseline to a setting.

        The interval of a class of fewer than `FEW_GROUPS` groups is NaN, so that it is never significant.
        """
        settings = self.comparison.settings
        change = settings[setting].mean(name) - settings[baseline].mean(name)
        first, resampled = self.comparison.first, self.comparison.resampled
        if "/" in name:
            of_class = first.targets == first.classes.index(name.partition("/")[2])
            if len(set(np.asarray(first.groups)[of_class])) < FEW_GROUPS:
                return Change(change, Interval(math.nan, math.nan))
        return Change(change, interval(resampled[setting][name] - resampled[baseline][name]))

    def worst_recall(self, setting: int) -> tuple[str, float, Interval]:
        """Return the class with the lowest recall, its recall, and the interval of the lowest recall."""
        one, first = self.comparison.settings[setting], self.comparison.first
        classes = [first.classes[k] for k in np.unique(first.targets)]  # classes that have test images
        recalls = {name: one.mean(f"recall/{name}") for name in classes}
        worst = min(recalls, key=lambda name: recalls[name])
        resampled: Floats = np.array(
            [self.comparison.resampled[setting][f"recall/{name}"] for name in classes]
        )
        return worst, recalls[worst], interval(np.nanmin(resampled, axis=0))

    def table(self) -> Table | None:
        """Return a row for each setting; None if no setting has a baseline."""
        settings = self.comparison.settings
        if all(self.baseline(index) is None for index in range(len(settings))):
            return None
        rows = []
        for index, one in enumerate(settings):
            name, recall, bounds = self.worst_recall(index)
            cells = [
                one.name,
                self._score(index, f"recall/{self.rarest}"),
                self._score(index, f"precision/{self.rarest}"),
                f"{name} {with_interval(recall, bounds.low, bounds.high)}",
            ]
            baseline = self.baseline(index)
            cells += [
                "–" if baseline is None else _text(self.effect(index, baseline, score))
                for score in (DECISIVE, f"recall/{self.rarest}")
            ]
            rows.append(cells)
        head = (
            "setting",
            f"{self.rarest} recall",
            f"{self.rarest} precision",
            "lowest recall",
            "macro-F1 against none",
            f"{self.rarest} recall against none",
        )
        note = (
            f"{self.rarest} has the fewest test images. In brackets: 95 % intervals over resamples of "
            "groups, of the lowest recall over whichever class has it in a resample; differences are not "
            "corrected for multiple comparisons, unlike in the table of all pairs."
        )
        return Table("remedies", "Effects of balancing on the rare classes", head, rows, note)

    def _score(self, setting: int, name: str) -> str:
        bounds = self.comparison.interval(setting, name)
        return with_interval(self.comparison.settings[setting].mean(name), bounds.low, bounds.high)


def _text(change: Change) -> str:
    low, high = (f"{value:+.3f}" for value in (change.interval.low, change.interval.high))
    return f"{change.value:+.3f}" if low == high else f"{change.value:+.3f} ({low} – {high})"
