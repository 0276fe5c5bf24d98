"""The plan's arithmetic, the progress view and the attributions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from heritage.collection.dataset_writer import write_attribution
from heritage.collection.http.limiter import HostLimiter
from heritage.collection.http.settings import Endpoint
from heritage.collection.ledger import Ledger
from heritage.collection.plan import Plan, make_plan
from heritage.collection.progress import CollectingView, ListingView
from heritage.collection.sources import Listed, Listing, MetSource
from heritage.core.manifest import Manifest
from tests.collection.runs import met, rules, session


def hosts(api: float | None, images: float | None) -> dict[str, Endpoint]:
    return {
        "api": Endpoint(url="https://api.example/v", rate=api, concurrency=1),
        "images": Endpoint(url="https://images.example", rate=images, concurrency=1),
    }


@pytest.mark.parametrize(
    ("limit", "classes", "records", "photographs", "hours"),
    [
        (100, ["egyptian"], 200, 100, 200 / 3600),
        (None, ["egyptian"], 10_000, 5_000, 10_000 / 3600),
        (100, ["egyptian", "asian"], 200 + 50, 100 + 25, 250 / 3600),  # asian has fewer than it should
        (100, ["byzantium"], 1667, 100, 1667 / 3600),  # its rule expects 6 in 100
    ],
)  # fmt: skip
def test_the_plan_counts_what_a_limit_needs(
    tmp_path: Path, limit: int | None, classes: list[str], records: int, photographs: int, hours: float
) -> None:
    source = met("https://x", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    order = session(source, tmp_path, limit=limit, classes=classes).order
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for department, number in ((10, 10_000), (6, 50), (17, 4_000), (7, 2_000)):
        items = (Listed(f"{department}{i:06d}") for i in range(number))
        ledger.list_objects("MET", f"department:{department}", items, seed=0)
    plan = make_plan(source, ledger, rules(), source.listings(rules(), tuple(classes)), order)
    ledger.close()
    assert (plan.records, plan.photographs) == (records, photographs)
    assert plan.hours == pytest.approx(hours)


def plan_of(
    tmp_path: Path, source: MetSource, listings: list[Listing], listed: dict[str, int], limit: Any
) -> Plan:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for key, number in listed.items():
        ledger.list_objects("MET", key, (Listed(f"{i}{key}") for i in range(number)), seed=0)
    plan = make_plan(source, ledger, rules(), listings, session(source, tmp_path, limit=limit).order)
    ledger.close()
    return plan


@pytest.mark.parametrize(("limit", "photographs"), [(None, 570 + 900), (500, 500 + 500), (800, 570 + 800)])
def test_what_a_dump_lists_is_labelled_already(tmp_path: Path, limit: int | None, photographs: int) -> None:
    source = met("https://x", csv="MetObjects.csv", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    listed = {"csv:byzantium": 570, "csv:asian": 900}
    plan = plan_of(tmp_path, source, source.listings(rules(), rules().classes), listed, limit)
    # Byzantium's share of its departments (6 in 100) and the museum's yield say nothing of a dump's objects.
    assert plan.records == plan.photographs == photographs
    assert {row.name: row.listed for row in plan.classes if row.listed} == {"byzantium": 570, "asian": 900}


def test_an_object_of_ids_of_ones_own_is_of_one_class_alone(tmp_path: Path) -> None:
    source = met("https://x", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    listings = [Listing("ids", frozenset(rules().classes), "chosen")]
    plan = plan_of(tmp_path, source, listings, {"ids": 600}, 500)
    assert (plan.records, plan.photographs) == (600, 300)
    assert {row.to_come for row in plan.classes} == {50}


def test_records_that_the_list_brought_cost_no_request(tmp_path: Path) -> None:
    source = met("https://x", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.list_objects("MET", "department:6", [Listed(str(i), b"{}") for i in range(100)], seed=0)
    order = session(source, tmp_path, classes=["asian"]).order
    plan = make_plan(source, ledger, rules(), source.listings(rules(), ("asian",)), order)
    ledger.close()
    assert (plan.records, plan.photographs, plan.classes[0].records) == (0, 50, 100)
    assert plan.hours == pytest.approx(25 / 3600)


def test_no_rate_is_no_estimate(tmp_path: Path) -> None:
    source = met("https://x", hosts=hosts(None, None))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.list_objects("MET", "department:10", [Listed("1")], seed=0)
    plan = make_plan(
        source, ledger, rules(), source.listings(rules(), ("egyptian",)), session(source, tmp_path).order
    )
    ledger.close()
    assert plan.hours is None


def test_the_view_shows_each_host() -> None:
    host = HostLimiter(
        "museum.example", rate=1.0, concurrency=1, wall_pause=60.0, most_walls=3, stop=asyncio.Event()
    )
    stored = 10
    view = CollectingView({"museum.example": host}, lambda: (stored, 100))
    assert view.line() == "10 of about 100 photographs, 0 s"
    stored = 20
    host.good(2_500_000)
    host.wall(1e12)
    console = Console(width=150, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115  rich keeps it
    console.print(view.table())
    text = console.export_text()
    console.file.close()
    for shown in ("museum.example", "2.5", "60 s", "20 of about 100", "left", "1 walls"):
        assert shown in text


def test_listing_says_how_far_it_is() -> None:
    view = ListingView({})
    view.begin("department:10", 2, 7)
    view.add(1_000)
    view.add(234)
    assert view.line() == "Listing department:10 (2 of 7): 1,234 objects, 0 s"


def test_attributions_are_plain_text_whatever_a_museum_writes(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "file": "images/1_MET_1.jpg", "class": "egyptian", "museum": "MET", "object_id": "1",
        "licence": "CC0-1.0", "credit": "Gift of <script>", "permalink": "https://x/1", "title": "*[Jar](x)*",
    }  # fmt: skip
    manifest = Manifest.build(pa.Table.from_pylist([row]), tmp_path, ["egyptian"])
    write_attribution(manifest, tmp_path)
    text = (tmp_path / "ATTRIBUTION.md").read_text()
    assert r"`1_MET_1.jpg`: \*\[Jar\](x)\*. Gift of \<script\>. CC0-1.0. <https://x/1>" in text
    assert (
        "| CC0-1.0 | The Metropolitan Museum of Art, New York | 1 |" in (tmp_path / "LICENCES.md").read_text()
    )
