"""Facts about museums: the configured ones are complete, unknown codes are their own names."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from heritage.core.files import config_dir
from heritage.core.manifest import Manifest
from heritage.core.museums import STANDARD_LICENCES, Museum, configured_museums, museum_of, read_museums

TOY = Museum(code="TOY", name="The Toy Museum", object_page="https://toys.example/{object_id}/view")


def test_every_source_describes_its_museum() -> None:
    sources = {path.stem.upper() for path in (config_dir() / "source").glob("*.yaml")}
    assert set(configured_museums()) == sources
    for museum in configured_museums().values():
        assert museum.licence in STANDARD_LICENCES or museum.permitted_use


def test_pages_have_the_objects_id() -> None:
    assert museum_of("MET").page_of("547802") == "https://www.metmuseum.org/art/collection/search/547802"
    assert TOY.page_of("a/b?c") == "https://toys.example/a%2Fb%3Fc/view"
    assert museum_of("MET").page_of("") is None
    assert museum_of("CLEVELAND").page_of("1") is None
    assert museum_of("ELSEWHERE").page_of("1") is None


def test_incomplete_facts_are_ignored() -> None:
    facts = [
        {"code": "TOY", "name": "The Toy Museum", "further": 1},
        {"code": "toy", "name": "x"},
        {"code": "B"},
        None,
    ]
    assert list(read_museums(facts)) == ["TOY"]


def test_a_data_set_describes_its_own_museums(tmp_path: Path) -> None:
    table = pa.table({"file": ["a.jpg", "b.jpg"], "class": ["x", "x"], "museum": ["TOY", "MET"]})
    Manifest(Manifest.build(table, tmp_path, ["x"]).table, tmp_path, ("x",), {"TOY": TOY}).write(tmp_path)
    read = Manifest.read(tmp_path)
    assert read.museums == {"TOY": TOY}
    assert [read.museum(code).name for code in ("TOY", "MET", "NEW")] == [
        "The Toy Museum",
        "The Metropolitan Museum of Art, New York",
        "NEW",
    ]
    assert read.take(read.targets[:1]).museums == read.with_column("title", ["", ""]).museums == {"TOY": TOY}
