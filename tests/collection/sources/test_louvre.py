"""The Louvre's adapter with recorded responses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heritage.collection.record import RecordError
from heritage.collection.sources.louvre import LouvreSource
from heritage.core.manifest import Manifest
from heritage.demo.server import serve
from tests.collection.recorded import FIXTURES, LOUVRE, load, recorded, source
from tests.collection.runs import printed, rules, session


@pytest.mark.parametrize("path", LOUVRE, ids=lambda path: path.stem)
def test_every_recorded_louvre_object_is_parsed_or_refused(path: Path) -> None:
    raw = load(path)
    louvre: LouvreSource = source("louvre")
    if not raw["image"]:
        with pytest.raises(RecordError, match="no photograph"):
            louvre.read(raw, path.stem, "sitemap", "web")
        return
    record = louvre.read(raw, path.stem, "sitemap", "web")
    assert record.permalink == raw["url"]
    kinds = {image["urlImage"]: image["type"] for image in raw["image"]}
    credit_of = {image["urlImage"]: image["copyright"] for image in raw["image"]}
    for photograph in record.photographs:
        assert not re.search("dos|revers|dessous|marquage|détail", kinds[photograph.url])
        assert photograph.credit == credit_of[photograph.url]
    expected = [u for u, kind in kinds.items() if not re.search("dos,|dessous|marquage|détail", kind)]
    assert len(record.photographs) == len(expected)
    years = [date["startYear"] for date in raw["dateCreated"]]
    assert record.begin_year == (min(years) if years else None)
    decision = rules("thesis").label("LOUVRE", record)
    assert (
        decision.class_name
        == {"ég": "egyptian", "By": "byzantium", "or": "orient"}[
            re.split(r"Antiquités |Arts de ", raw["collection"])[1][:2]
        ]
    )


def test_variants_of_the_louvres_format_are_read() -> None:
    louvre = source("louvre")
    raw = load(LOUVRE[0])
    first = louvre.read(raw, LOUVRE[0].stem, "sitemap", "web")
    documented = {key.strip(): value for key, value in raw.items()} | {"index": [], "dateCreated": None}
    assert louvre.read(documented, LOUVRE[0].stem, "sitemap", "web").photographs == first.photographs
    for spelling in ("DEPARTEMENT DES ARTS DE BYZANCE", "Byzance et chrétientés en Orient", "byzance"):
        record = louvre.read(raw | {"collection": spelling}, LOUVRE[0].stem, "sitemap", "web")
        assert rules("thesis").label("LOUVRE", record).class_name == "byzantium"
    arts = louvre.read(raw | {"collection": "Département des Arts de l’Islam"}, LOUVRE[0].stem, "", "web")
    assert rules("thesis").label("LOUVRE", arts).class_name == "islam"


def test_the_louvre_is_collected_from_recorded_responses(tmp_path: Path) -> None:
    with serve(recorded({})) as base:
        louvre = source("louvre", base, accept_terms=True, contact="me@example.org")
        run = session(louvre, tmp_path, rules=rules("thesis"), classes=["egyptian", "orient", "byzantium"])
        run.collect()
    manifest = Manifest.read(tmp_path)
    with_pictures = {path.stem for path in LOUVRE if load(path)["image"]}
    assert set(manifest.column("object_id")) == with_pictures
    assert all("©" in credit for credit in manifest.column("credit"))
    assert all(link.startswith("https://collections.louvre.fr/ark:") for link in manifest.column("permalink"))
    assert "not to be published as a data set" in (tmp_path / "LICENCES.md").read_text()
    assert printed(run).startswith("The Louvre's photographs are free only for")


def test_details_in_a_recorded_image_list_are_skipped() -> None:
    raw = load(LOUVRE[0]) | {"image": load(FIXTURES / "louvre" / "fragments" / "cl010277627.image.json")}
    (only,) = source("louvre").read(raw, LOUVRE[0].stem, "sitemap", "web").photographs
    assert only.url.endswith("0000625031_OG.JPG")
    details = [image for image in raw["image"] if image["type"] == "détail"]
    with pytest.raises(RecordError, match="backs, details or marks"):
        source("louvre").read(raw | {"image": details}, LOUVRE[0].stem, "sitemap", "web")
