"""A museum outside this repository: one adapter file and one configuration file, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from heritage.core.manifest import Manifest
from heritage.demo.server import Request, Response, file_response, json_response, serve
from heritage.metrics.slices import slice_labels
from heritage.reports.thumbnails import Thumbnails
from tests.collection.faults import jpeg
from tests.conftest import Command

ADAPTER = '''
"""The Toy Museum."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar

from heritage.collection.http.client import Client
from heritage.collection.record import Photograph, Record, RecordError, Size, text_of
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import ListedObject, Listing, Source
from heritage.core.types import PositiveInt


@dataclass(frozen=True, kw_only=True)
class ToySource(Source):
    page: PositiveInt
    rules_museum: ClassVar[str] = "TOY"
    supports_since: ClassVar[bool] = False

    def listings(self, rules: ClassRules, classes: tuple[str, ...]) -> list[Listing]:
        return [Listing("all:objects", frozenset(classes))]

    async def enumerate(
        self, client: Client, listing: Listing, since: str | None
    ) -> AsyncIterator[list[ListedObject]]:
        _, ids = await client.json(f"{self.hosts['api'].base}/objects")
        for start in range(0, len(ids), self.page):
            yield [ListedObject(object_id) for object_id in ids[start : start + self.page]]

    def record_url(self, object_id: str) -> str:
        if not object_id.isalnum():
            raise RecordError(f"'{object_id}' is not an id of the Toy Museum")
        return f"{self.hosts['api'].base}/objects/{object_id}"

    def read(self, raw: Any, object_id: str, listing: str, size: Size) -> Record:
        return Record(
            object_id=object_id,
            department=text_of(raw, "department", required=True),
            source_url=self.record_url(object_id),
            permalink="",
            licence=self.museum.licence,
            credit="",
            title=text_of(raw, "title"),
            object_name="",
            culture="",
            period="",
            place="",
            begin_year=None,
            end_year=None,
            photographs=(Photograph(raw["image"]),),
        )
'''

CONFIG = """
_target_: toy_museum.ToySource
museum:
  _target_: heritage.core.museums.Museum
  code: TOY
  name: The Toy Museum, Anywhere
  licence: Toy Licence 1.0
  permitted_use: play only
  object_page: https://toys.example/object/{object_id}
contact: null
hosts:
  api: {_target_: heritage.collection.http.settings.Endpoint, url: "???", rate: null, concurrency: 2}
allowed_hosts: []
allow_private: true
expected_yield: 0.9
page: 4
"""

OBJECTS = {f"t{number}": "egyptian" if number % 2 else "islam" for number in range(12)}
RULES = (
    "collection.rules=[{name: toy-egypt, museum: TOY, department: [egyptian], class: egyptian},"
    "{name: toy-islam, museum: TOY, department: [islam], class: islam}]"
)


@pytest.fixture
def base() -> Iterator[str]:
    def handle(request: Request) -> Response:
        if request.path == "/objects":
            return json_response(list(OBJECTS))
        name = request.path.rpartition("/")[2]
        if request.path.startswith("/objects/"):
            image = f"{url}/images/{name}.jpg"
            return json_response({"department": OBJECTS[name], "title": f"Toy {name}", "image": image})
        if request.path.startswith("/images/"):
            return file_response(request, jpeg(int(name[1:-4]), 144), "image/jpeg")
        return Response(404, b"")

    with serve(handle) as url:
        yield url


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The words of a command line that name the folder of the museum's configuration."""
    (tmp_path / "conf" / "source").mkdir(parents=True)
    (tmp_path / "conf" / "source" / "toy.yaml").write_text(CONFIG)
    (tmp_path / "toy_museum.py").write_text(ADAPTER)
    monkeypatch.syspath_prepend(tmp_path)
    yield ["--config-dir", str(tmp_path / "conf"), "source=toy", RULES, "name=toys"]
    sys.modules.pop("toy_museum", None)


def test_the_help_lists_the_museum(heritage: Command, toy: list[str]) -> None:
    shown = heritage("collect", "--help", *toy, "source.hosts.api.url=http://127.0.0.1")
    assert shown.code == 0, shown.err
    assert "source: cleveland, demo, louvre, met, [toy]" in shown.out
    assert "name: The Toy Museum, Anywhere" in shown.out


def test_its_options_are_validated(heritage: Command, toy: list[str]) -> None:
    refused = heritage("collect", *toy, "source.hosts.api.url=http://127.0.0.1", "source.page=0",
                       "source.museum.object_page=nowhere", "source.expected_yield=2")  # fmt: skip
    assert refused.code == 2
    for key in ("source.page=0", "source.museum.object_page=nowhere", "source.expected_yield=2"):
        assert key in refused.err


def test_the_museum_is_collected_and_named_in_every_report(
    heritage: Command, toy: list[str], base: str, tmp_path: Path
) -> None:
    done = heritage("collect", *toy, f"source.hosts.api.url={base}")
    assert done.code == 0, done.err
    folder = tmp_path / "outputs" / "collections" / "toys"
    collected = Manifest.read(folder)
    classes = dict(zip(collected.column("object_id"), collected.column("class"), strict=True))
    assert classes == OBJECTS
    assert set(collected.column("museum")) == {"TOY"}
    assert "## The Toy Museum, Anywhere" in (folder / "ATTRIBUTION.md").read_text()
    licences = (folder / "LICENCES.md").read_text()
    assert "| Toy Licence 1.0 | The Toy Museum, Anywhere | 12 | play only |" in licences

    # From here on the museum's configuration is unknown: the data set itself describes it.
    done = heritage("curate", f"raw.root={folder}", "name=toys", "cleaning.min_side=32", "resize.size=64")
    assert done.code == 0, done.err
    data = tmp_path / "outputs" / "data" / "toys"
    for page in ("report.html", "README.md", "ATTRIBUTION.md"):
        assert "The Toy Museum, Anywhere" in (data / page).read_text(encoding="utf-8"), page
    curated = Manifest.read(data)
    assert slice_labels(curated, "museum") == ["The Toy Museum, Anywhere"] * len(curated)
    place = curated.column("object_id").index("t3")
    without_links = Manifest(curated.table.drop(["permalink", "source_url"]), curated.root, curated.classes,
                             curated.museums)  # fmt: skip
    caption = Thumbnails(without_links).caption(place)
    assert (caption.link, caption.credit) == ("https://toys.example/object/t3", "The Toy Museum, Anywhere")


def test_a_later_run_from_another_museum_keeps_the_facts(
    heritage: Command, toy: list[str], base: str, tmp_path: Path
) -> None:
    assert heritage("collect", *toy, f"source.hosts.api.url={base}", "limit=2").code == 0
    demo = ("source.images=60", "source.picture_size=48", "min_side=32", "limit=1")
    done = heritage("collect", "source=demo", "name=toys", *demo)
    assert done.code == 0, done.err
    folder = tmp_path / "outputs" / "collections" / "toys"
    described = json.loads((folder / "dataset.json").read_text())["museums"]
    assert [museum["code"] for museum in described] == ["DEMO", "TOY"]
    assert "## The Toy Museum, Anywhere" in (folder / "ATTRIBUTION.md").read_text()
