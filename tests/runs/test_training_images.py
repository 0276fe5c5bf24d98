"""Networks trained on the drawn demo set are recognised, also those of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.core.manifest import Manifest
from heritage.core.museums import count_drawn
from heritage.errors import CheckpointError
from heritage.runs.files import DATA_FILE, PREDICTIONS_FILE
from heritage.runs.training_images import RECORD, TrainingImages, drawn_note, training_images

DEMO = {"data": {"reader": {"_target_": "heritage.data.readers.demo"}}}
OTHER = {"data": {"reader": {"_target_": "heritage.data.readers.manifest"}}}


def test_drawings_are_recognised_by_museum_or_file_name() -> None:
    table = {
        "file": ["a.jpg", "images/1_DEMO_7.jpg", "1_MET_8.jpg", "b.jpg"],
        "museum": ["DEMO", None, "MET", None],
    }
    assert count_drawn(pa.table(table)) == 2
    assert count_drawn(pa.table({"file": table["file"]})) == 1
    manifest = Manifest.build(table | {"class": ["x"] * 4}, Path("set"), ["x"])
    assert manifest.drawn == 2


@pytest.mark.parametrize(
    ("images", "weights", "notes"),
    [
        (TrainingImages(9, 0), "none", []),
        (TrainingImages(None, 0), None, []),
        (TrainingImages(9, 9), "none", ["has seen no photograph"]),
        (TrainingImages(None, None), None, ["has seen no photograph"]),
        (TrainingImages(9, 9), "imagenet", ["its initial weights"]),
        (TrainingImages(9, 3), "none", ["3 of the 9 training images are drawings"]),
    ],
)
def test_notes_name_what_the_network_has_seen(
    images: TrainingImages, weights: str | None, notes: list[str]
) -> None:
    written = images.notes(weights)
    assert len(written) == len(notes)
    for note, part in zip(written, notes, strict=True):
        assert part in note


def test_the_record_comes_first_then_the_reader_then_the_test_images(tmp_path: Path) -> None:
    assert training_images(None, OTHER, TrainingImages(9, 9)).all_drawn
    assert not training_images(None, DEMO, TrainingImages(9, 0)).all_drawn
    assert training_images(None, DEMO).all_drawn, "a checkpoint of an earlier version"
    assert not training_images(tmp_path, OTHER).all_drawn

    # a run of an earlier version on a curated set of the demo museum
    table = {"file": ["a.jpg", "b.jpg"], "museum": ["DEMO", "DEMO"]}
    pq.write_table(pa.table(table), tmp_path / PREDICTIONS_FILE)
    assert training_images(tmp_path, OTHER).all_drawn
    pq.write_table(pa.table(table | {"museum": ["DEMO", "MET"]}), tmp_path / PREDICTIONS_FILE)
    assert not training_images(tmp_path, OTHER).all_drawn

    (tmp_path / DATA_FILE).write_text(json.dumps({RECORD: TrainingImages(4, 4).record()}))
    assert training_images(tmp_path, OTHER) == TrainingImages(4, 4)


@pytest.mark.parametrize("record", [3, [], {"drawn": "x"}, {"drawn": -1}, {"images": 1.5, "drawn": True}])
def test_damaged_records_are_refused(record: object) -> None:
    with pytest.raises(CheckpointError, match="no pair of numbers"):
        TrainingImages.read(record, "best.ckpt")


def test_test_sets_of_drawings_are_noted() -> None:
    assert drawn_note(5, 0) == []
    assert drawn_note(5, 5)[0].startswith("All test images are drawings")
    assert drawn_note(5, 2)[0].startswith("2 of 5 test images are drawings")
