"""The data-set card states where labels come from, and what was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heritage.core.manifest import Manifest
from heritage.curation.dataset_card import PublishedPlace, card

ABOUT: dict[str, Any] = {
    "name": "vases", "image_size": 256, "groups": 4, "audit": {"clean": True, "compared": 6},
    "photographs": 6, "dropped": {"unreadable": 2}, "remarks": [], "heritage": "0.2.0",
    "configuration": {"resize": {"way": "crop", "size": 256, "quality": 92},
                      "split": {"by": "group", "seed": 0}},
}  # fmt: skip


def manifest(root: Path, classes: tuple[str, ...], rule: str | None) -> Manifest:
    names = [classes[number % len(classes)] for number in range(4)]
    columns: dict[str, Any] = {
        "file": [f"images/1_MET_{number}.jpg" for number in range(4)], "class": names,
        "image_id": [f"1_MET_{number}" for number in range(4)], "museum": ["MET"] * 4,
        "split": ["train", "train", "val", "test"], "group_id": list("abcd"), "rule": [rule] * 4,
    }  # fmt: skip
    return Manifest.build(columns, root, classes)


@pytest.mark.parametrize("place", [None, PublishedPlace("museum/vases", None)])
@pytest.mark.parametrize(
    ("classes", "rule", "labels", "recognised"),
    [
        (
            ("egyptian", "islam"),
            "department",
            "Labels are the museums' own, or follow from the rule",
            "civilisation",
        ),
        (("lamps", "tiles"), None, "Labels are those of the folders or the table that", "class"),
    ],
)
def test_the_origin_of_labels_is_that_of_the_source(
    tmp_path: Path, classes: tuple[str, ...], rule: str | None, labels: str, recognised: str,
    place: PublishedPlace | None,
) -> None:  # fmt: skip
    text = card(manifest(tmp_path, classes, rule), ABOUT, place=place)
    assert labels in text
    assert ("museums' own" in text) == (rule is not None)
    assert f"recognising an artefact's {recognised}," in text
    assert ("`overrides.csv`" in text) == (place is None)


@pytest.mark.parametrize("dropped", [{}, {"unreadable": 2}])
def test_dropped_photographs_are_listed_if_there_are_some(tmp_path: Path, dropped: dict[str, int]) -> None:
    text = card(manifest(tmp_path, ("lamps", "tiles"), None), ABOUT | {"dropped": dropped})
    assert ("No photograph was dropped." in text) == (not dropped)
    assert ("are in the manifest, with the reason:\n\n- unreadable: 2. " in text) == bool(dropped)
