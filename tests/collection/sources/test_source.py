"""All adapters of real museums: ids, terms, contact, rate limits and addresses."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from heritage.collection import ClassRules
from heritage.collection.http.settings import Endpoint
from heritage.collection.record import Record, RecordError
from heritage.errors import ConfigError
from tests.collection.recorded import LOUVRE, MET, load, source
from tests.collection.runs import met, session


@pytest.mark.parametrize("wrong", ["../1", "1/../2", "", "١", "1 2", "x"])
def test_ids_are_checked_before_they_are_used_in_urls(wrong: str) -> None:
    for name in ("met", "cleveland", "louvre"):
        with pytest.raises(RecordError, match="not an"):
            source(name).record_url(wrong)


def test_real_museums_need_terms_contact_and_limits(tmp_path: Path) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("louvre", {"contact": "me@example.org"}, r"teaching.*source\.accept_terms=true"),
        ("louvre", {"accept_terms": True}, r"source\.contact: no value"),
        ("met", {}, r"source\.contact: no value"),
        ("met", {"contact": "me"}, "not an e-mail address"),
        (
            "met",
            {"contact": "me@example.org", "hosts.api.rate": None},
            r"source\.hosts\.api\.rate: no value",
        ),
        ("met", {"contact": "me@example.org"}, r"client\.wall_pause=0\.05"),
    ]
    for name, changes, reason in wrong:
        with pytest.raises(ConfigError, match=reason):
            session(source(name, **changes), tmp_path).collect()
    assert not list(tmp_path.iterdir())


def test_the_default_rate_is_low() -> None:
    met = source("met")
    assert met.hosts["api"].rate == 1.0
    assert not met.allow_private
    assert {host.url.split("/")[2] for host in met.hosts.values()} == {
        "collectionapi.metmuseum.org",
        "images.metmuseum.org",
    }
    assert isinstance(met.read(load(MET[0]), str(load(MET[0])["objectID"]), "ids", "web"), Record)


def test_the_recorded_objects_are_all_there() -> None:
    public = [load(path)["isPublicDomain"] for path in MET]
    assert (len(MET), public.count(True), len(LOUVRE)) == (142, 138, 39)


@pytest.mark.parametrize(
    ("url", "own"),
    [("http://127.0.0.1:8000/x", True), ("http://localhost/x", True), ("https://[::1]/x", True),
     ("https://10.1.2.3/x", True), ("https://collectionapi.metmuseum.org/x", False),
     ("https://8.8.8.8", False)],
)  # fmt: skip
def test_allow_private_exempts_private_servers_only(url: str, own: bool) -> None:
    endpoint = Endpoint(url=url, rate=None, concurrency=1)
    source = met("http://127.0.0.1", hosts={"api": endpoint, "images": endpoint})
    with contextlib.nullcontext() if own else pytest.raises(ConfigError, match=r"source\.contact"):
        source.check_politeness(0.1)


@pytest.mark.parametrize("url", ["foo", "https://[::", "ftp://a.example/b"])
def test_a_server_needs_a_web_address(url: str) -> None:
    source = met("http://127.0.0.1", hosts={"api": Endpoint(url=url, rate=None, concurrency=1)})
    with pytest.raises(ConfigError, match=r"source\.hosts\.api\.url"):
        source.check_politeness(0.1)


def test_the_mets_departments_are_given_by_id() -> None:
    rule: Any = {"name": "a", "museum": "MET", "department": ["Egyptian Art"], "class": "egyptian"}
    named = ClassRules(name="x", classes=["egyptian"], rules=[rule])
    with pytest.raises(ConfigError, match=r"rule a names the department 'Egyptian Art'"):
        met("http://127.0.0.1").listings(named, ("egyptian",))
