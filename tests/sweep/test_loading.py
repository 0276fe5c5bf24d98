"""Importing what training needs, while the demo set is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heritage.api.composition import compose
from heritage.core.progress import Progress
from heritage.demo import demo_folder, write_demo_dataset
from heritage.errors import DataError
from heritage.sweep import loading
from heritage.sweep.loading import loaded

SIZE: dict[str, Any] = {"images": 12, "size": 16, "seed": 3}


def options(folder: Path) -> dict[str, object]:
    """Return overrides for a small demo set below a folder."""
    return {"paths__outputs": folder, **{f"data__reader__{key}": value for key, value in SIZE.items()}}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, list[int]]]:
    """Collect description, total and steps of each bar."""
    bars: list[tuple[str, int, list[int]]] = []

    class Recorded(Progress):
        def __init__(self, description: str, total: int, **further: object) -> None:
            bars.append((description, total, []))
            super().__init__(description, total, **further)  # type: ignore[arg-type]

        def advance(self, count: int, **further: Any) -> None:
            bars[-1][2].append(count)
            super().advance(count, **further)

    monkeypatch.setattr(loading, "Progress", Recorded)
    return bars


def test_the_demo_set_is_drawn_behind_one_bar_that_ends_full(
    tmp_path: Path, shown: list[tuple[str, int, list[int]]]
) -> None:
    cfg = compose("train", **options(tmp_path))
    with loaded(cfg):
        drawn = demo_folder(Path(cfg.data.root), **SIZE)
        assert len(list((drawn / "images").iterdir())) == SIZE["images"]
    ((description, total, steps),) = shown
    assert description == "starting, drawing 12 artefacts"
    assert sum(steps) == total


def test_a_demo_set_that_exists_is_not_drawn_again(
    tmp_path: Path, shown: list[tuple[str, int, list[int]]]
) -> None:
    cfg = compose("train", **options(tmp_path))
    drawn = write_demo_dataset(Path(cfg.data.root), **SIZE)
    before = (drawn / "demo.json").stat().st_mtime_ns
    with loaded(cfg):
        pass
    assert shown[0][0] == "starting"
    assert (drawn / "demo.json").stat().st_mtime_ns == before


def test_own_photographs_draw_nothing(tmp_path: Path, shown: list[tuple[str, int, list[int]]]) -> None:
    (tmp_path / "photographs").mkdir()
    root = tmp_path / "photographs"
    cfg = compose("train", ["data=class_folders"], data__root=root, paths__outputs=tmp_path)
    with loaded(cfg):
        pass
    assert shown[0][0] == "starting"
    assert [path.name for path in tmp_path.iterdir()] == ["photographs"]


def test_an_error_while_drawing_is_left_to_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: Path, **_: object) -> Path:
        raise DataError("the demo set cannot be written", where=root, remedy="choose another folder")

    monkeypatch.setattr(loading, "write_demo_dataset", refuse)
    cfg = compose("train", **options(tmp_path))
    with loaded(cfg):
        assert not Path(cfg.data.root).exists()
