"""Runs against the demo museum: files, manifest, limits, labels and the plan."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from heritage.core.manifest import Manifest
from heritage.core.museums import museum_of
from heritage.errors import ConfigError
from tests.collection import faults
from tests.collection.demo_collection import (
    API,
    COLLECTION,
    assert_no_repeated_request,
    expected,
    names,
    objects_of,
    owner_of,
)
from tests.collection.faults import FaultyMuseum
from tests.collection.runs import met, printed, rows, rules, session


def test_a_run_stores_exactly_the_expected_files(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    manifest = Manifest.read(tmp_path)
    classes = rules().classes
    found = zip(manifest.column("object_id"), manifest.column("class"), strict=True)
    assert {(owner_of(o), c) for o, c in found} == set(expected().items())
    assert names(tmp_path) == {f"{rules().classes.index(c) + 1}_MET_{i}.jpg" for i, c in expected().items()}
    for image_id, object_id, class_name in zip(
        *(manifest.column(name) for name in ("image_id", "object_id", "class")), strict=True
    ):
        assert image_id == f"{classes.index(class_name) + 1}_MET_{object_id}"
    for file, digest in zip(manifest.column("file"), manifest.column("sha256"), strict=True):
        assert hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() == digest
    assert {path.name for path in tmp_path.iterdir()} >= {"ATTRIBUTION.md", "LICENCES.md", "dataset.json"}
    assert set(manifest.column("licence")) == {"CC0-1.0"}
    assert not any((tmp_path / ".parts").iterdir())


def test_each_row_has_its_origin_and_class_rule(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    manifest = Manifest.read(tmp_path)
    for row in manifest.table.to_pylist():
        record = COLLECTION.met_record(int(row["object_id"]))
        assert row["image_url"] == record["primaryImageSmall"]
        assert row["permalink"] == record["objectURL"]
        assert record["creditLine"] in row["credit"]
        assert (row["culture"], row["begin_year"]) == (record["culture"], record["objectBeginDate"])
        assert row["rule"].startswith("met-")
        assert (row["width"], row["height"]) == (72, 72)
    attribution = (tmp_path / "ATTRIBUTION.md").read_text()
    assert attribution.count("\n- `") == len(manifest)


def test_a_second_run_makes_no_requests(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    before = museum.requested.copy()
    assert_no_repeated_request(museum)
    session(met(base), tmp_path).collect()
    assert museum.requested == before


def test_works_under_copyright_are_never_fetched(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    closed = [i for i in COLLECTION.ids if not COLLECTION.is_public(i)]
    assert closed
    states = rows(tmp_path, "SELECT object_id, state, error FROM objects")
    assert {(str(i), "refused", "not in the public domain") for i in closed} <= set(states)
    assert not [path for path in museum.requested for i in closed if f"/{i}-" in path]


def test_the_limit_holds_for_each_class_and_can_be_raised(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path, limit=2).collect()
    assert set(Counter(name[0] for name in names(tmp_path)).values()) == {2}
    assert len(Manifest.read(tmp_path)) == 12
    first = names(tmp_path)
    session(met(base), tmp_path, limit=3, classes=["islam", "asian"]).collect()
    assert first < names(tmp_path)
    assert Counter(name[0] for name in names(tmp_path)) == {"1": 2, "2": 2, "3": 2, "4": 3, "5": 2, "6": 3}
    assert_no_repeated_request(museum)


def test_conflicts_and_unmapped_objects_get_no_class(base: str, tmp_path: Path) -> None:
    plain = rules()
    islam = next(rule for rule in plain._rules if rule.name == "met-islamic")
    contrary = islam.model_copy(update={"name": "contrary", "class_name": "orient"})
    torn = type(plain)(name="torn", classes=list(plain.classes), rules=[*plain._rules, contrary])
    run = session(met(base), tmp_path, rules=torn)
    run.collect()
    states = Counter(
        rows(tmp_path, "SELECT state, rule FROM objects WHERE state IN ('conflict', 'unmapped')")
    )
    islamic = [i for i in COLLECTION.ids if COLLECTION.class_of(i) == "islam" and COLLECTION.photographs(i)]
    foreign = [i for i in COLLECTION.ids if COLLECTION.is_foreign(i) and COLLECTION.photographs(i)]
    assert states == {("conflict", "met-islamic, contrary"): len(islamic), ("unmapped", ""): len(foreign)}
    assert "conflict: met-islamic, contrary" in printed(run)
    report = session(met(base), tmp_path, rules=torn, report="records")
    report.report()
    assert "contrary" in printed(report)


def test_a_slow_listing_shows_its_progress(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heritage.collection.progress.LOG_EVERY", 0.05)
    museum.once(API, lambda response: response, faults.delayed(0.4))
    run = session(met(base), tmp_path, dry_run=True)
    run.collect()
    number = sum(COLLECTION.department(i) == 3 for i in COLLECTION.ids)
    assert f"Listing department:6 (2 of 7): {number:,} objects" in printed(run)


def test_a_dry_run_stops_after_the_plan(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    run = session(met(base), tmp_path, dry_run=True)
    run.collect()
    assert set(museum.requested) == {API}
    assert "records to read" in printed(run)
    assert not (tmp_path / "images").exists()


def test_ids_from_a_file_are_collected(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    expected = objects_of("islam")[:2] + objects_of("asian")[:1]
    (tmp_path / "ids.txt").write_text("\n".join(expected))
    session(met(base), tmp_path / "in", ids=tmp_path / "ids.txt").collect()
    assert {row.split("_")[2].removesuffix(".jpg") for row in names(tmp_path / "in")} == set(expected)
    assert museum.requested[API] == 0
    (tmp_path / "ids.txt").write_text("../../etc/passwd")
    with pytest.raises(ConfigError, match="not an object id"):
        session(met(base), tmp_path / "in", ids=tmp_path / "ids.txt").collect()


def test_the_demo_museum_has_the_louvres_api_too(tmp_path: Path) -> None:
    from heritage.collection.sources.demo import DemoSource

    demo = DemoSource(
        museum=museum_of("DEMO"),
        api="louvre", images=60, picture_size=48, seed=0, port=0, concurrency=4, departments={},
        expected_yield=0.9,
    )  # fmt: skip
    with demo.opened() as museum:
        run = session(museum, tmp_path, rules=rules("thesis"), classes=["egyptian", "islam"])
        run.collect()
    manifest = Manifest.read(tmp_path)
    assert set(manifest.column("class")) == {"egyptian", "islam"}
    assert all(credit.startswith("© ") for credit in manifest.column("credit"))
    assert "teaching" in printed(run)
