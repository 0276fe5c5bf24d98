"""Cleveland's adapter with responses in its format."""

from __future__ import annotations

import re
from pathlib import Path

from heritage.collection.record import RecordError
from heritage.collection.sources.cleveland import ClevelandSource
from heritage.demo.server import serve
from tests.collection.recorded import CLEVELAND, recorded, recording, source
from tests.collection.runs import rules, session


def test_cleveland_splits_its_mixed_department_by_culture() -> None:
    cleveland: ClevelandSource = source("cleveland")
    labels = {}
    for raw in CLEVELAND["data"]:
        try:
            record = cleveland.read(raw, str(raw["id"]), "", "web")
        except RecordError as error:
            labels[raw["id"]] = str(error)
        else:
            decision = rules("open_museums").label("CLEVELAND", record)
            labels[raw["id"]] = decision.class_name or decision.outcome
            assert record.photographs[0].url.startswith("https://openaccess-cdn.clevelandart.org/")
    assert labels == {
        1: "egyptian",
        2: "orient",
        3: "unmapped",
        4: "not under CC0",
        5: "no photograph",
        6: "asian",
    }


def test_cleveland_is_collected_without_a_request_for_a_record(tmp_path: Path) -> None:
    requested: list[str] = []
    with serve(recording(recorded({}), requested)) as base:
        session(
            source("cleveland", base), tmp_path, rules=rules("open_museums"), classes=["egyptian", "orient"]
        ).collect()
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "1_CLEVELAND_1.jpg",
        "3_CLEVELAND_2.jpg",
    ]
    assert not [path for path in requested if re.search(r"artworks/\d", path)]
