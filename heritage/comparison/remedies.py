"""What each remedy for class imbalance does to the rare classes, against training without one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.comparison.comparison import Comparison
from heritage.metrics.bootstrap import Interval, interval
from heritage.reports.tables import Table
from heritage.runs.description import PLAIN

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """By how much a remedy changes a score.

    Attributes:
        change: Remedy minus plain training, on the whole test set.
        bounds: 95 % of resamples of groups.
    """

    change: float
    bounds: Interval

    @property
    def real(self) -> bool:
        """Whether the interval leaves no change out."""
        return self.bounds.low > 0 or self.bounds.high < 0

    def __str__(self) -> str:
        return f"{self.change:+.3f} ({self.bounds.low:+.3f} – {self.bounds.high:+.3f})"


@dataclass(frozen=True)
class Remedies:
    """A comparison, seen from its rarest class.

    Attributes:
        comparison: All settings.
        rarest: The class of fewest test images.
    """

    comparison: Comparison
    rarest: str

    @classmethod
    def of(cls, comparison: Comparison) -> Remedies:
        """Look at a comparison from the class that the fewest test images are of."""
        first = comparison.first
        counts = np.bincount(first.targets, minlength=len(first.classes)).astype(float)
        counts[counts == 0] = np.inf
        return cls(comparison, first.classes[int(counts.argmin())])

    def plain(self, setting: int) -> int | None:
        """Return the setting without a remedy that differs from this one in nothing else."""
        settings = self.comparison.settings
        wanted = settings[setting].runs[0].recipe.family
        for place, one in enumerate(settings):
            recipe = one.runs[0].recipe
            if place != setting and recipe.balance == PLAIN and recipe.family == wanted:
                return place
        return None

    def effect(self, setting: int, plain: int, name: str) -> Effect:
        """Return what a setting changes against another in a score, such as ``recall/byzantium``."""
        settings = self.comparison.settings
        change = settings[setting].mean(name) - settings[plain].mean(name)
        resampled = self.comparison.resampled
        return Effect(change, interval(resampled[setting][name] - resampled[plain][name]))

    def worst_recall(self, setting: int) -> tuple[str, float, Interval]:
        """Return the class that a setting recognises worst, its recall, and the worst one's interval."""
        one, first = self.comparison.settings[setting], self.comparison.first
        classes = [first.classes[k] for k in np.unique(first.targets)]  # no image can be missed of the others
        recalls = {name: one.mean(f"recall/{name}") for name in classes}
        worst = min(recalls, key=lambda name: recalls[name])
        resampled: Floats = np.array(
            [self.comparison.resampled[setting][f"recall/{name}"] for name in classes]
        )
        return worst, recalls[worst], interval(np.nanmin(resampled, axis=0))

    def table(self) -> Table | None:
        """Return a row for each setting; None where no remedy can be held against plain training."""
        settings = self.comparison.settings
        if all(self.plain(place) is None for place in range(len(settings))):
            return None
        rows = []
        for place, one in enumerate(settings):
            name, recall, bounds = self.worst_recall(place)
            cells = [
                one.name,
                self._score(place, f"recall/{self.rarest}"),
                self._score(place, f"precision/{self.rarest}"),
                f"{name} {recall:.3f} ({bounds.low:.3f}–{bounds.high:.3f})",
            ]
            against = self.plain(place)
            cells += [
                "–" if against is None else str(self.effect(place, against, score))
                for score in ("macro_f1", f"recall/{self.rarest}")
            ]
            rows.append(cells)
        head = (
            "setting",
            f"{self.rarest} recall",
            f"{self.rarest} precision",
            "worst class, its recall",
            "macro-F1 against none",
            f"{self.rarest} recall against none",
        )
        note = (
            f"{self.rarest} is the class of fewest test images. In brackets 95 % of resamples of groups, "
            "of the worst class whichever is worst in a resample; each difference by itself: the table of "
            "all pairs corrects for their number."
        )
        return Table("remedies", "What the remedies for imbalance do to the rare classes", head, rows, note)

    def _score(self, setting: int, name: str) -> str:
        bounds = self.comparison.interval(setting, name)
        return f"{self.comparison.settings[setting].mean(name):.3f} ({bounds.low:.3f}–{bounds.high:.3f})"
