"""Cleveland's adapter with responses in its format."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from heritage.collection.record import RecordError
from heritage.collection.sources.cleveland import ClevelandSource
from heritage.demo.server import Request, Response, json_response, serve
from heritage.errors import CollectionError
from tests.collection.recorded import CLEVELAND, recorded, recording, source
from tests.collection.runs import printed, rules, session


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


def test_a_list_that_repeats_itself_ends(tmp_path: Path) -> None:
    answer = recorded({})
    requested: list[str] = []

    def first_page(request: Request) -> Response:
        return answer(replace(request, query=request.query | {"skip": "0"}))

    with (
        serve(recording(first_page, requested)) as base,
        pytest.raises(CollectionError, match="repeats itself"),
    ):
        session(
            source("cleveland", base), tmp_path, rules=rules("open_museums"), classes=["egyptian"]
        ).collect()
    assert len([path for path in requested if path.endswith("/artworks/")]) == 2


def test_records_without_a_valid_id_are_counted(tmp_path: Path) -> None:
    answer = recorded({})
    wrong = [{"id": "../../x"}, {"id": None}, {}, 5.5, "x", None, [1]]

    def with_wrong_ids(request: Request) -> Response:
        response = answer(request)
        if not request.path.endswith("/artworks/") or request.query.get("skip") != "0":
            return response
        return json_response({"data": [*CLEVELAND["data"], *wrong]})

    with serve(with_wrong_ids) as base:
        run = session(source("cleveland", base), tmp_path, rules=rules("open_museums"), classes=["egyptian"])
        run.collect()
    assert "1_CLEVELAND_1.jpg" in {path.name for path in (tmp_path / "images").iterdir()}
    assert "5 objects refused: not an artwork id of Cleveland's" in printed(run)
