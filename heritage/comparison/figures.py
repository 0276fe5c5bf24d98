"""Figures of a comparison, with the published values of the thesis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heritage.comparison.balancing import BalancingEffects
from heritage.comparison.comparison import Comparison
from heritage.comparison.published import Published, published
from heritage.core.escaping import figure_text
from heritage.reports.figures import save
from heritage.runs.description import RunDescription

_THESIS, _OURS, _RARE, _INK = "#cdbfa7", "#1f5a7a", "#b5651d", "#22201c"
_NAME_LENGTH = 36  # letters of a line of a setting's name
_MAX_LABELS = 84  # letters of all bar labels that fit side by side


def write_figures(comparison: Comparison, folder: Path) -> list[tuple[Path, str]]:
    """Draw all figures.

    Returns:
        The files with their captions.
    """
    figures = [
        (
            _settings,
            "settings.png",
            "All settings: mean macro-F1 with its 95 % interval over resamples of groups; dots are seeds.",
        ),
        (
            _balancing,
            "remedies.png",
            "Effects of balancing on macro-F1 and on the recall of the rarest class.",
        ),
        (
            _by(lambda one: (one.model, one.optimizer), "none"),
            "optimizers.png",
            "Accuracy by network and optimiser, without balancing.",
        ),
        (_models, "models.png", "The best accuracy of each network, without balancing."),
        (
            _by(lambda one: (one.model, one.balance), None),
            "balances.png",
            "Macro-F1 by network and balancing.",
        ),
    ]
    written = []
    for draw, name, caption in figures:
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        if draw(figure.subplots(), comparison):
            save(figure, folder / name)
            written.append((folder / name, caption))
    return written


def _settings(axes: Axes, comparison: Comparison) -> bool:
    figure = axes.figure
    names = [one.name for one in comparison.settings]
    figure.set_size_inches(8.6, 1.1 + 0.34 * len(names))  # type: ignore[union-attr]
    for place, one in enumerate(comparison.settings):
        bounds = comparison.interval(place, "macro_f1")
        axes.plot([bounds.low, bounds.high], [place, place], color=_OURS, linewidth=6, alpha=0.25,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot(one.values("macro_f1"), [place] * len(one.runs), "o", color=_OURS, markersize=4)
        axes.plot([one.mean("macro_f1")], [place], "|", color=_INK, markersize=13)
    _rows(axes, names)
    axes.set_xlabel("macro-F1")
    _tidy(axes, "x")
    return True


def _balancing(axes: Axes, comparison: Comparison) -> bool:
    effects = BalancingEffects.of(comparison)
    pairs = [(index, baseline) for index in range(len(comparison.settings))
             if (baseline := effects.baseline(index)) is not None]  # fmt: skip
    if not pairs:
        return False
    axes.figure.set_size_inches(8.6, 1.3 + 0.46 * len(pairs))  # type: ignore[union-attr]
    scores = {
        "macro_f1": ("macro-F1", _OURS, -0.13),
        f"recall/{effects.rarest}": (f"{effects.rarest} recall", _RARE, 0.13),
    }
    for name, (label, colour, offset) in scores.items():
        for row, (index, baseline) in enumerate(pairs):
            effect = effects.effect(index, baseline, name)
            ends = [effect.interval.low, effect.interval.high]
            axes.plot(ends, [row + offset] * 2, color=colour, linewidth=2.5, solid_capstyle="butt",
                      label=figure_text(label) if row == 0 else None)  # fmt: skip
            face = colour if effect.significant else "white"
            axes.plot(effect.value, row + offset, "o", color=colour, markerfacecolor=face, markersize=5.5)
    axes.axvline(0, color=_INK, linewidth=1)
    _rows(axes, [comparison.settings[index].name for index, _ in pairs])
    axes.set_xlabel("difference to training without balancing\n(filled: the interval excludes zero)")
    axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    _tidy(axes, "x")
    return True


Key = Callable[[RunDescription | Published], tuple[str, str]]


def _by(key: Key, balance: str | None) -> Callable[[Axes, Comparison], bool]:
    """Return a function that draws the published value and ours for each pair of choices."""

    def draw(axes: Axes, comparison: Comparison) -> bool:
        measure = "accuracy" if balance is not None else "macro_f1"
        theirs = {
            key(run): run.accuracy if measure == "accuracy" else run.rows["macro_avg"][2]
            for run in published()
            if balance in (None, run.balance) and (balance is not None or run.optimizer == "adam")
            and (balance is not None or run.model == "efficientnet_b0")
        }  # fmt: skip
        ours = {}
        for place, one in reversed(list(enumerate(comparison.settings))):
            if balance in (None, one.runs[0].description.balance):
                bounds = comparison.interval(place, measure)
                ours[key(one.runs[0].description)] = (one.mean(measure), bounds.low, bounds.high)
        if not ours:
            return False
        _bars(axes, theirs, ours)
        axes.set_ylabel(measure.replace("_f1", "-F1"))
        return True

    return draw


def _models(axes: Axes, comparison: Comparison) -> bool:
    theirs: dict[tuple[str, str], float] = {}
    for run in published():
        if run.balance == "none":
            theirs["", run.model] = max(run.accuracy, theirs.get(("", run.model), 0))
    best: dict[tuple[str, str], tuple[float, float, float]] = {}
    for place, one in enumerate(comparison.settings):
        if one.runs[0].description.balance != "none":
            continue
        key, bounds = ("", one.runs[0].description.model), comparison.interval(place, "accuracy")
        ours = (one.mean("accuracy"), bounds.low, bounds.high)
        best[key] = max(ours, best.get(key, ours))
    if not best:
        return False
    _bars(axes, theirs, best)
    axes.set_ylabel("accuracy")
    return True


def _bars(
    axes: Axes,
    theirs: dict[tuple[str, str], float],
    ours: dict[tuple[str, str], tuple[float, float, float]],
) -> None:
    keys = list(dict.fromkeys([*theirs, *ours]))
    outer = list(dict.fromkeys(name for name, _ in keys))
    keys.sort(key=lambda key: outer.index(key[0]))
    x = np.arange(len(keys), dtype=float)
    low = min([*theirs.values(), *(value[1] for value in ours.values())])
    axes.set_ylim(0 if low < 0.5 else 0.5, 1)
    for place, key in enumerate(keys):
        both = key in theirs and key in ours
        if key in theirs:
            axes.bar(x[place] - (0.2 if both else 0), theirs[key], 0.38, color=_THESIS)
            _label(axes, x[place] - (0.2 if both else 0), theirs[key])
        if key in ours:
            mean, low, high = ours[key]
            at = x[place] + (0.2 if both else 0)
            axes.bar(at, mean, 0.38, color=_OURS)
            errors = [[max(mean - low, 0)], [max(high - mean, 0)]]
            axes.errorbar([at], [mean], yerr=errors, color=_INK, capsize=3, linewidth=1)
            _label(axes, at, mean, "white")
    if len(keys) * max(len(part) for key in keys for part in key) > _MAX_LABELS:
        labels = [figure_text(" ".join(filter(None, key))) for key in keys]
        axes.set_xticks(x, labels, fontsize=7.5, rotation=35, ha="right")
    else:
        axes.set_xticks(x, ["\n".join(map(figure_text, filter(None, key))) for key in keys], fontsize=7.5)
    axes.bar([0], [0], color=_THESIS, label="thesis")
    axes.bar([0], [0], color=_OURS, label="ours")
    axes.legend(frameon=False, ncols=2, loc="upper right")
    _tidy(axes, "y")


def _label(axes: Axes, x: float, value: float, colour: str = _INK) -> None:
    axes.annotate(f"{value:.3f}", (x, axes.get_ylim()[0]), xytext=(0, 6), textcoords="offset points",
                  ha="center", va="bottom", rotation=90, fontsize=7.5, color=colour)  # fmt: skip


def _rows(axes: Axes, names: list[str]) -> None:
    """Label the rows, the first on top, with names broken into lines."""
    axes.set_yticks(
        range(len(names)), ["\n".join(map(figure_text, wrap(name, _NAME_LENGTH))) for name in names]
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    if any(len(name) > _NAME_LENGTH for name in names):
        axes.tick_params(axis="y", labelsize=7.5)


def _tidy(axes: Axes, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, alpha=0.25)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
