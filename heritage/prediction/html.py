"""HTML for notebooks: small images, bars of probabilities, all text escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from heritage.core.escaping import html
from heritage.core.image_io import Pixels, encode_jpeg
from heritage.core.numbers import percent

_THUMBNAIL = 120  # pixels of the longer side
_LARGE = 320
_BARS = 5

_CARD = (
    "display:inline-flex;flex-wrap:wrap;gap:12px;align-items:flex-start;margin:4px 16px 8px 0;"
    "vertical-align:top"
)
_TRACK = "display:inline-block;width:96px;height:9px;background:rgba(128,128,128,.25);border-radius:3px"
_FILL = "display:block;height:100%;background:#8a4220;border-radius:3px"


def thumbnail(pixels: Pixels, side: int = _THUMBNAIL) -> bytes:
    """Return a JPEG of RGB pixels (H, W, 3) whose longer side has at most ``side`` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return encode_jpeg(pixels, quality=80)


def prediction_card(
    title: str, name: str | None, probabilities: Mapping[str, float], jpeg: bytes | None
) -> str:
    """Return a card for one image.

    Args:
        title: The headline.
        name: The file name, if any.
        probabilities: By class, the most probable first; the first few become bars.
        jpeg: A small image; None leaves it out.
    """
    lines = [f"<b>{html(title)}</b>"]
    if name:
        lines.append(f'<span style="opacity:.7">{html(name)}</span>')
    for label, value in list(probabilities.items())[:_BARS]:
        fill = f'<span style="{_FILL};width:{100 * value:.1f}%"></span>'
        lines.append(f'<span style="{_TRACK}">{fill}</span> {html(label)} {percent(value)}')
    return f'<div style="{_CARD}">{_image(jpeg, _THUMBNAIL)}<div>{"<br>".join(lines)}</div></div>'


def note_lines(notes: Sequence[str]) -> str:
    """Return notes as paragraphs."""
    return "".join(f"<p><b>Note:</b> {html(note)}</p>" for note in notes)


def image_card(title: str, name: str | None, images: Sequence[Pixels]) -> str:
    """Return a card with images (H, W, 3) side by side."""
    shown = "".join(_image(thumbnail(pixels, _LARGE), _LARGE) for pixels in images)
    caption = html(title) + (f" · {html(name)}" if name else "")
    return f'<div style="{_CARD}">{shown}</div><div>{caption}</div>'


def _image(jpeg: bytes | None, side: int) -> str:
    if jpeg is None:
        return ""
    data = base64.b64encode(jpeg).decode()
    return f'<img alt="" style="max-width:{side}px;max-height:{side}px" src="data:image/jpeg;base64,{data}">'
