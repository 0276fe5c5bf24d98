"""Whether a figure's texts are inside its canvas and neither overlap each other nor lines and markers."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

Floats = npt.NDArray[np.float64]

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
        figure.draw_without_rendering()  # laid out as when it is written, without the time of its pixels
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
        points = _points(line)
        for text, box in texts:
            assert not _inside(points, box), f"a line or an error bar crosses {text!r}"
    return [text.replace(r"\$", "$").replace("\n", " ") for text, _ in texts]


def _visible(figure: Figure) -> list[Text]:
    """Return the texts that are drawn: labels of ticks outside the limits are not."""
    hidden: set[int] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not (axes.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9):
                    hidden |= {id(tick.label1), id(tick.label2)}
    texts = figure.findobj(Text)
    return [one for one in texts if one.get_visible() and one.get_text().strip() and id(one) not in hidden]


def _overlap(one: Bbox, other: Bbox) -> bool:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    along = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(across > _TOLERANCE and along > _TOLERANCE)


def _points(line: Line2D) -> Floats:
    """Return points of a line in pixels, (N, 2); none for those of the grid and of ticks."""
    axes = line.axes
    if axes is None or not line.get_visible() or line not in axes.lines:
        return np.empty((0, 2))
    points = line.get_transform().transform(np.column_stack(line.get_data()))
    if line.get_clip_on():
        frame = axes.bbox
        points = points.clip([frame.x0, frame.y0], [frame.x1, frame.y1])
    if len(points) < 2:
        return points
    steps = np.linspace(0, 1, 200)[:, None, None]
    fine: Floats = (points[:-1] + steps * (points[1:] - points[:-1])).reshape(-1, 2)
    return fine


def _inside(points: Floats, box: Bbox) -> bool:
    inner = box.padded(-_TOLERANCE)
    return bool(((points > inner.min) & (points < inner.max)).all(axis=1).any())
