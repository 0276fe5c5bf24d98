"""The plan, the progress display and the attributions."""

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
from heritage.collection.progress import CollectionProgress, ListingProgress
from heritage.collection.sources import ListedObject, Listing, MetSource
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
def test_the_plan_counts_the_records_a_limit_needs(
    tmp_path: Path, limit: int | None, classes: list[str], records: int, photographs: int, hours: float
) -> None:
    source = met("https://x", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    options = session(source, tmp_path, limit=limit, classes=classes).options
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for department, number in ((10, 10_000), (6, 50), (17, 4_000), (7, 2_000)):
        items = (ListedObject(f"{department}{i:06d}") for i in range(number))
        ledger.list_objects("MET", f"department:{department}", items, seed=0)
    plan = make_plan(source, ledger, rules(), source.listings(rules(), tuple(classes)), options)
    ledger.close()
    assert (plan.records, plan.photographs) == (records, photographs)
    assert plan.hours == pytest.approx(hours)


def plan_of(
    tmp_path: Path, source: MetSource, listings: list[Listing], listed: dict[str, int], limit: Any
) -> Plan:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for key, number in listed.items():
        ledger.list_objects("MET", key, (ListedObject(f"{i}{key}") for i in range(number)), seed=0)
    plan = make_plan(source, ledger, rules(), listings, session(source, tmp_path, limit=limit).options)
    ledger.close()
    return plan


@pytest.mark.parametrize(("limit", "photographs"), [(None, 570 + 900), (500, 500 + 500), (800, 570 + 800)])
def test_the_plan_of_a_dump_uses_its_labels(tmp_path: Path, limit: int | None, photographs: int) -> None:
    source = met("https://x", csv="MetObjects.csv", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    listed = {"csv:byzantium": 570, "csv:asian": 900}
    plan = plan_of(tmp_path, source, source.listings(rules(), rules().classes), listed, limit)
    # The rule's share (6 in 100) and the museum's yield do not apply to the objects of a dump.
    assert plan.records == plan.photographs == photographs
    assert {row.name: row.listed for row in plan.classes if row.listed} == {"byzantium": 570, "asian": 900}


def test_the_plan_of_a_file_of_ids_divides_objects_by_class(tmp_path: Path) -> None:
    source = met("https://x", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    listings = [Listing("ids", frozenset(rules().classes), "chosen")]
    plan = plan_of(tmp_path, source, listings, {"ids": 600}, 500)
    assert (plan.records, plan.photographs) == (600, 300)
    assert {row.to_come for row in plan.classes} == {50}


def test_records_included_in_a_list_cost_no_request(tmp_path: Path) -> None:
    source = met("https://x", hosts=hosts(1.0, 2.0), expected_yield=0.5)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.list_objects("MET", "department:6", [ListedObject(str(i), b"{}") for i in range(100)], seed=0)
    options = session(source, tmp_path, classes=["asian"]).options
    plan = make_plan(source, ledger, rules(), source.listings(rules(), ("asian",)), options)
    ledger.close()
    assert (plan.records, plan.photographs, plan.classes[0].records) == (0, 50, 100)
    assert plan.hours == pytest.approx(25 / 3600)


def test_without_a_rate_there_is_no_estimate(tmp_path: Path) -> None:
    source = met("https://x", hosts=hosts(None, None))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.list_objects("MET", "department:10", [ListedObject("1")], seed=0)
    plan = make_plan(
        source, ledger, rules(), source.listings(rules(), ("egyptian",)), session(source, tmp_path).options
    )
    ledger.close()
    assert plan.hours is None


def test_the_progress_table_shows_each_host() -> None:
    host = HostLimiter(
        "museum.example", rate=1.0, concurrency=1, wall_pause=60.0, max_walls=3, stop=asyncio.Event()
    )
    stored = 10
    view = CollectionProgress({"museum.example": host}, lambda: (stored, 100))
    assert view.line() == "10 of about 100 photographs, 0 s"
    stored = 20
    host.record_success(2_500_000)
    host.record_wall(1e12)
    console = Console(width=150, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115  rich keeps it
    console.print(view.table())
    text = console.export_text()
    console.file.close()
    for live_progress in ("museum.example", "2.5", "60 s", "20 of about 100", "left", "1 bot walls"):
        assert live_progress in text


def test_listing_shows_its_progress() -> None:
    view = ListingProgress({})
    view.begin("department:10", 2, 7)
    view.add(1_000)
    view.add(234)
    assert view.line() == "Listing department:10 (2 of 7): 1,234 objects, 0 s"


def test_markup_in_attributions_is_escaped(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "file": "images/1_MET_1.jpg", "class": "egyptian", "museum": "MET", "object_id": "1",
        "licence": "CC0-1.0", "credit": "Gift of <script>", "permalink": "https://x/1", "title": "*[Jar](x)*",
    }  # fmt: skip
    manifest = Manifest.build(pa.Table.from_pylist([row]), tmp_path, ["egyptian"])
    write_attribution(manifest, tmp_path)
    text = (tmp_path / "ATTRIBUTION.md").read_text()
    assert r"`1_MET_1.jpg`: \*\[Jar\](x)\*. Gift of &lt;script&gt;. <https://x/1>" in text
    assert "### CC0-1.0 (1 image)" in text
    assert (
        "| CC0-1.0 | The Metropolitan Museum of Art, New York | 1 |" in (tmp_path / "LICENCES.md").read_text()
    )
