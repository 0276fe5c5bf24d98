"""Whether a figure's texts are inside its canvas and neither overlap each other nor lines and markers."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

_TOLERANCE = 0.75  # pixels at 100 dpi, of the antialiasing


def require_legible(figure: Figure) -> list[str]:
    """Assert that all texts are inside the canvas and apart from each other and from lines.

    Returns:
        The texts, as they are drawn.
    """
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    texts = [(one.get_text(), one.get_window_extent(renderer)) for one in _visible(figure)]
    frame = figure.bbox
    for text, box in texts:
        inside = (
            box.x0 >= -_TOLERANCE and box.y0 >= -_TOLERANCE
            and box.x1 <= frame.x1 + _TOLERANCE and box.y1 <= frame.y1 + _TOLERANCE
        )  # fmt: skip
        assert inside, f"{text!r} is cut: {box} in {frame}"
    for (one, box), (other, second) in itertools.combinations(texts, 2):
        assert not _overlap(box, second), f"{one!r} and {other!r} overlap"
    for line in figure.findobj(Line2D):
        assert isinstance(line, Line2D)
        for text, box in texts:
            assert not _crosses(line, box), f"a line or an error bar crosses {text!r}"
    return [text.replace(r"\$", "$").replace("\n", " ") for text, _ in texts]


def _visible(figure: Figure) -> list[Text]:
    shown = []
    for one in figure.findobj(Text):
        assert isinstance(one, Text)
        if one.get_visible() and one.get_text().strip() and _drawn(one, figure):
            shown.append(one)
    return shown


def _drawn(text: Text, figure: Figure) -> bool:
    """Return whether a text is of a tick that is within the limits, or of no tick."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = axis.get_major_ticks() + axis.get_minor_ticks()
            for tick in ticks:
                if text in (tick.label1, tick.label2):
                    low, high = sorted(axis.get_view_interval())
                    return axes.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9
    return True


def _overlap(one: Bbox, other: Bbox) -> bool:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    along = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(across > _TOLERANCE and along > _TOLERANCE)


def _crosses(line: Line2D, box: Bbox) -> bool:
    """Return whether a point or segment of a line, but not of the grid or a tick, is inside a box."""
    axes = line.axes
    if axes is None or not line.get_visible() or line not in axes.lines:
        return False
    points = line.get_transform().transform(np.column_stack(line.get_data()))
    if line.get_clip_on():
        frame = axes.bbox
        points = points.clip([frame.x0, frame.y0], [frame.x1, frame.y1])
    fine = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(points)] or [points])
    inner = box.padded(-_TOLERANCE)
    return bool(((fine > inner.min) & (fine < inner.max)).all(axis=1).any())
