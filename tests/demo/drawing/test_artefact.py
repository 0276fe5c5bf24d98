"""Drawing: deterministic, and different for other seeds, objects and views."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from heritage.core.taxonomy import CLASSES
from heritage.demo import draw_artefact
from heritage.demo.drawing.catalogue import KINDS, kind_of
from heritage.errors import ConfigError

EVERY_KIND = [(name, kind.name) for name in CLASSES for kind in KINDS[name]]


def index_of(class_name: str, kind_name: str, seed: int) -> int:
    """Return the first object of a kind."""
    return next(k for k in range(1000) if kind_of(class_name, k, seed).name == kind_name)


@pytest.mark.parametrize(("class_name", "kind_name"), EVERY_KIND)
def test_every_kind_is_drawn_at_every_size(class_name: str, kind_name: str) -> None:
    index = index_of(class_name, kind_name, seed=5)
    for size in (32, 128, 512):
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            picture = draw_artefact(class_name, index, 0, size=size, seed=5)
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 8


@pytest.mark.parametrize("view", range(3))
@pytest.mark.parametrize("class_name", CLASSES)
def test_an_object_looks_the_same_at_every_size(class_name: str, view: int) -> None:
    for index in range(4):
        small = draw_artefact(class_name, index, view, size=64, seed=2)
        large = draw_artefact(class_name, index, view, size=256, seed=2)
        reduced = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.88
        assert np.abs(small.astype(float) - reduced).mean() < 18


@pytest.fixture
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("threads")
def test_threads_do_not_change_the_bytes() -> None:
    drawn = []
    for count in (1, 4):
        cv2.setNumThreads(count)
        drawn.append([draw_artefact(name, 3, 1, size=300, seed=0).tobytes() for name in CLASSES])
    assert drawn[0] == drawn[1]


def test_another_process_draws_the_same_bytes() -> None:
    here = hashlib.sha256(b"".join(draw_artefact(n, 7, 2, size=48, seed=9).tobytes() for n in CLASSES))
    program = (
        "import hashlib; from heritage.demo import draw_artefact; from heritage.core.taxonomy import CLASSES;"
        "print(hashlib.sha256(b''.join(draw_artefact(n, 7, 2, size=48, seed=9).tobytes() for n in CLASSES))"
        ".hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.hexdigest()


def test_drawing_does_not_depend_on_earlier_drawings() -> None:
    first = draw_artefact("islam", 4, 0, size=64, seed=1)
    draw_artefact("asian", 0, 0, size=96, seed=1)
    np.testing.assert_array_equal(draw_artefact("islam", 4, 0, size=64, seed=1), first)


def test_views_objects_and_seeds_differ() -> None:
    drawn = {
        draw_artefact("orient", index, view, size=32, seed=seed).tobytes()
        for index in range(4)
        for view in range(4)
        for seed in range(2)
    }
    assert len(drawn) == 32


def test_kinds_have_their_frequencies() -> None:
    for name in CLASSES:
        total = sum(kind.frequency for kind in KINDS[name])
        drawn = [kind_of(name, index, seed=3).name for index in range(200)]
        for kind in KINDS[name]:
            assert drawn.count(kind.name) / 200 == pytest.approx(kind.frequency / total, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_name": "egyptain"}, "did you mean 'egyptian'"),
        ({"class_name": "xyz"}, "choose from egyptian, grecoroman"),
        ({"size": 8}, "size=8: cannot draw"),
        ({"size": 4096}, "from 16 to 2048"),
        ({"object_index": -1}, "object_index=-1: a negative number"),
        ({"view": -1}, "view=-1: a negative number"),
        ({"seed": -1}, "seed=-1: a negative number"),
    ],
)
def test_invalid_arguments_are_named(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "class_name": "asian", "object_index": 0, "view": 0, "size": 32, "seed": 0, **change
    }  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        draw_artefact(**arguments)  # type: ignore[arg-type]
