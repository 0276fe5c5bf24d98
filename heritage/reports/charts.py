"""Line charts as inline SVG for self-contained pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from heritage.core.escaping import html
from heritage.metrics.calibration import Reliability, RiskCoverage

BEFORE, AFTER = "#9c4a2f", "#1f5a7a"
PALETTE = (
    "#b07d2b", "#1f5a7a", "#9c4a2f", "#3d6b4f", "#6b4a86", "#c2729a", "#5f6b6d", "#8aa04b", "#2e8b8b",
    "#d08a5a",
)  # fmt: skip
"""Colours of classes in the order of the class list, repeated for longer lists."""

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 22, 40
_MAX_POINTS = 400


class _Plot:
    """A plot with both axes in per cent, the vertical one from ``low`` upwards."""

    def __init__(self, x: str, y: str, low: float = 0.0) -> None:
        self._low = low
        self._parts = [self._frame(x, y)]

    def line(self, points: Iterable[tuple[float, float]], colour: str, *, dashed: bool = False) -> None:
        """Draw a line through points (x, y), both from 0 to 1."""
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )

    def dots(self, points: Iterable[tuple[float, float, float, str]], colour: str) -> None:
        """Draw dots of given x, y, radius and tooltip."""
        for x, y, radius, words in points:
            self._parts.append(
                f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="{radius:.1f}" fill="{colour}" '
                f'fill-opacity="0.85"><title>{html(words)}</title></circle>'
            )

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        """Draw a legend above the plot: names and colours."""
        x = _LEFT
        for name, colour in names:
            self._parts.append(f'<rect x="{x}" y="5" width="11" height="11" rx="2" fill="{colour}"/>')
            self._parts.append(f'<text x="{x + 16}" y="15">{html(name)}</text>')
            x += 26 + 7 * len(name)

    def svg(self, words: str) -> str:
        """Return the SVG element; ``words`` is its label for screen readers."""
        inside = "".join(self._parts)
        return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html(words)}">{inside}</svg>'

    def _frame(self, x: str, y: str) -> str:
        parts = []
        base = _HEIGHT - _BOTTOM
        for step in range(6):
            across, up = step / 5, self._low + (1 - self._low) * step / 5
            left, height = self._x(across), self._y(up)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height}" y2="{height}"/>'
            )
            parts.append(f'<text x="{_LEFT - 6}" y="{height + 4}" text-anchor="end">{100 * up:.0f} %</text>')
            anchor = "end" if step == 5 else "middle"
            parts.append(
                f'<text x="{left}" y="{base + 16}" text-anchor="{anchor}">{100 * across:.0f} %</text>'
            )
        parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{base}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f"{html(x)}</text>"
        )
        middle = (_TOP + base) / 2
        parts.append(
            f'<text x="11" y="{middle}" text-anchor="middle" transform="rotate(-90 11 {middle})">'
            f"{html(y)}</text>"
        )
        return "".join(parts)

    def _x(self, x: float) -> float:
        return round(_LEFT + x * (_WIDTH - _LEFT - _RIGHT), 1)

    def _y(self, y: float) -> float:
        height = (y - self._low) / (1 - self._low)
        return round(_HEIGHT - _BOTTOM - height * (_HEIGHT - _TOP - _BOTTOM), 1)


def reliability_chart(before: Reliability, after: Reliability | None) -> str:
    """Draw accuracy over confidence; the areas of the dots are proportional to the number of images."""
    plot = _Plot("confidence", "accuracy")
    plot.line([(0, 0), (1, 1)], "#bdb4a3", dashed=True)
    shown = [("without temperature", BEFORE, before)]
    if after is not None:
        shown.append(("with temperature", AFTER, after))
    for _, colour, bins in shown:
        used = np.flatnonzero(bins.images)
        points = [(float(bins.confidence[b]), float(bins.accuracy[b]), int(bins.images[b])) for b in used]
        plot.line([(x, y) for x, y, _ in points], colour)
        total = max(int(bins.images.sum()), 1)
        plot.dots(
            [
                (x, y, 2 + 12 * (n / total) ** 0.5, f"{n:,} images: confidence {x:.0%}, accuracy {y:.0%}")
                for x, y, n in points
            ],
            colour,
        )
    plot.legend([(name, colour) for name, colour, _ in shown])
    return plot.svg("accuracy over confidence")


def risk_chart(curve: RiskCoverage, target: float | None, point: tuple[float, float] | None) -> str:
    """Draw precision over coverage.

    Args:
        curve: The risk-coverage curve.
        target: The target precision, drawn as a dashed line.
        point: Coverage and precision at the threshold, drawn as a dot.
    """
    step = max(1, len(curve.coverage) // _MAX_POINTS)
    indices = sorted({*range(0, len(curve.coverage), step), len(curve.coverage) - 1})
    # the precision of the first few predictions is noise
    indices = [index for index in indices if curve.coverage[index] >= 0.02] or indices
    lowest = min(float(curve.precision[indices].min()), target or 1.0, 0.9)
    plot = _Plot("coverage", "precision", low=max(0.0, np.floor(lowest * 10) / 10 - 0.1))
    if target is not None:
        plot.line([(0, target), (1, target)], "#bdb4a3", dashed=True)
    plot.line([(float(curve.coverage[k]), float(curve.precision[k])) for k in indices], AFTER)
    if point is not None and point[1] == point[1]:
        plot.dots([(*point, 5, f"coverage {point[0]:.0%}, precision {point[1]:.1%}")], BEFORE)
        plot.legend([("at the threshold", BEFORE)])
    return plot.svg("precision over coverage")
