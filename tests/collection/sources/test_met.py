"""The Met's adapter with recorded responses: parsed one by one, and collected from a server on loopback."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from heritage.collection.record import RecordError
from heritage.collection.sources.met import MetSource
from heritage.core.manifest import Manifest
from heritage.demo.server import Request, Response, serve
from heritage.errors import CollectionError, ConfigError
from tests.collection.recorded import FIXTURES, MET, load, recorded, source
from tests.collection.runs import rows, session


@pytest.mark.parametrize("path", MET, ids=lambda path: path.stem)
def test_every_recorded_met_object_is_parsed_or_refused(path: Path) -> None:
    raw = load(path)
    met: MetSource = source("met")
    object_id = str(raw["objectID"])
    if not raw["isPublicDomain"]:
        with pytest.raises(RecordError, match="not in the public domain"):
            met.read(raw, object_id, "ids", "web")
        return
    record = met.read(raw, object_id, "ids", "web")
    assert record.photographs
    for photograph in record.photographs:
        assert re.fullmatch(r"https://images\.metmuseum\.org/CRDImages/[\x21-\x7e]+", photograph.url)
        assert "%25" not in photograph.url
    assert len({photograph.url for photograph in record.photographs}) == len(record.photographs)
    assert "web-large" in record.photographs[0].url
    assert "original" in met.read(raw, object_id, "ids", "original").photographs[0].url
    assert record.credit.startswith("The Metropolitan Museum of Art")
    assert record.permalink == f"https://www.metmuseum.org/art/collection/search/{object_id}"
    if record.begin_year is not None and record.end_year is not None:
        assert record.begin_year <= record.end_year
    assert not re.search(r"<[a-z]|&[a-z]+;", record.title)


READ_AS = [
    (544085, "begin_year", -712),
    (544085, "end_year", -664),
    (552105, "end_year", None),
    (554782, "title", "Mud Brick Stamped with the Throne Names Aa-kheper-ka-re (Thutmose I) and Maat-ka-"),
]  # fmt: skip


@pytest.mark.parametrize(("object_id", "field", "value"), READ_AS)
def test_irregular_met_records_are_parsed(object_id: int, field: str, value: Any) -> None:
    raw = load(FIXTURES / "met" / "objects" / f"{object_id}.json")
    found = getattr(source("met").read(raw, str(object_id), "ids", "web"), field)
    assert (found[: len(value)] if isinstance(value, str) else found) == value


@pytest.mark.parametrize(
    ("object_id", "encoded"),
    [(445964, "09.217.1a,%20b.JPG"), (456263, "LC-1973-79-68%20(2).jpg"), (457849, "AD-10.130.2826(2)"),
     (543914, "08.201.2a%E2%80%93g_EGDP015503-EGDP015504.jpg")],
)  # fmt: skip
def test_urls_are_percent_encoded(object_id: int, encoded: str) -> None:
    raw = load(FIXTURES / "met" / "objects" / f"{object_id}.json")
    url = source("met").read(raw, str(object_id), "ids", "web").photographs[0].url
    assert url.rpartition("/")[2] == encoded


def test_the_met_identifies_departments_by_listing_and_then_by_name() -> None:
    met = source("met")
    raw = load(FIXTURES / "met" / "objects" / "321412.json")
    for name in ("Ancient Near Eastern Art", "Ancient West Asian Art", "ancient  near eastern ART"):
        assert met.read(raw | {"department": name}, "321412", "ids", "web").department == "3"
    assert met.read(raw | {"department": "Renamed again"}, "321412", "department:3", "web").department == "3"
    assert met.read(raw | {"department": "Unheard of"}, "321412", "ids", "web").department == "Unheard of"


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"objectID": 1}, "the record is of object 1"),
    ({"isPublicDomain": None}, "missing or not a boolean"),
    ({"isPublicDomain": "True"}, "missing or not a boolean"),
    ({"department": None}, "'department' is missing"),
    ({"department": 3}, "'department' is int"),
    ({"objectBeginDate": "ca. 500"}, "not a year"),
    ({"primaryImage": "", "primaryImageSmall": ""}, "no photograph"),
    ({"additionalImages": "none"}, "not a list"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN, ids=lambda value: str(value)[:40])
def test_required_fields_of_a_met_record_are_checked(change: dict[str, Any], reason: str) -> None:
    raw = load(MET[0])
    with pytest.raises(RecordError, match=reason):
        source("met").read(raw | change, str(raw["objectID"]), "ids", "web")


def test_optional_fields_of_a_met_record_may_be_missing() -> None:
    raw = load(MET[0])
    object_id = str(raw["objectID"])
    bare = {
        key: raw[key]
        for key in ("objectID", "isPublicDomain", "department", "primaryImage", "primaryImageSmall")
    }
    record = source("met").read(
        bare | {"additionalImages": None, "objectBeginDate": ""}, object_id, "ids", "web"
    )
    assert (record.title, record.culture, record.begin_year) == ("", "", None)
    twice = raw | {"additionalImages": [raw["primaryImage"], raw["primaryImage"], ""]}
    assert len(source("met").read(twice, object_id, "ids", "web").photographs) == 1


def test_the_met_is_collected_from_recorded_responses(tmp_path: Path) -> None:
    errors = FIXTURES / "met" / "errors"
    wall = Response(403, (errors / "403_incapsula_iframe.html").read_bytes(), {"Content-Type": "text/html"})
    released = Response(
        404, (errors / "404_objects_withdrawn.json").read_bytes(), {"Content-Type": "application/json"}
    )
    faults = {"/public/collection/v1/objects/447984": released}
    recorded_handler = recorded(faults)
    walls = iter([wall])

    def handle(request: Request) -> Response:
        if request.path.endswith("/447006"):
            return next(walls, None) or recorded_handler(request)
        return recorded_handler(request)

    with serve(handle) as base:
        run = session(source("met", base), tmp_path, classes=["egyptian", "islam", "orient"])
        run.collect()
    manifest = Manifest.read(tmp_path)
    # The lists of departments 10 and 14 include objects of other departments here: the list decides.
    states = dict(rows(tmp_path, "SELECT object_id, state FROM objects"))
    assert states["447984"] == states["404404"] == "gone"
    assert states["447006"] == "labelled"
    by_state = Counter(states.values())
    # Four are not in the public domain; six Egyptian ones are of a period of two classes; the three Coptic
    # ones are of a class that is not collected.
    assert by_state == {"labelled": len(states) - 15, "refused": 10, "gone": 2, "spare": 3}
    assert set(manifest.column("licence")) == {"CC0-1.0"}
    assert all(url.startswith("https://images.metmuseum.org/") for url in manifest.column("image_url"))
    assert (tmp_path / "images").joinpath(Path(manifest.column("file")[0]).name).exists()


def test_an_unknown_department_is_an_error(tmp_path: Path) -> None:
    body = (FIXTURES / "met" / "errors" / "200_objects_unknown_department.json").read_bytes()
    empty = Response(200, body, {"Content-Type": "application/json"})
    with (
        serve(recorded({"/public/collection/v1/objects": empty})) as base,
        pytest.raises(ConfigError, match="department 14: The Met has no such department"),
    ):
        session(source("met", base), tmp_path, classes=["islam"]).collect()


def test_a_retired_list_is_an_error(tmp_path: Path) -> None:
    body = (FIXTURES / "met" / "errors" / "410_search_v1_retired.json").read_bytes()
    gone = Response(410, body, {"Content-Type": "application/json"})
    with (
        serve(recorded({"/public/collection/v1/objects": gone})) as base,
        pytest.raises(CollectionError, match=r"department:14: the list cannot be fetched: status 410"),
    ):
        session(source("met", base), tmp_path, classes=["islam"]).collect()
