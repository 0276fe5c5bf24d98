"""Class rules, and the normalisation of records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from heritage.collection.record import Record, fold, percent_encode, years
from heritage.collection.rules import ClassRules
from heritage.config.faults import FaultyConfigError
from heritage.errors import ConfigError
from tests.collection.runs import rules, session

PLAIN = Record(
    object_id="1", department="10", source_url="", permalink="", licence="", credit="", title="",
    object_name="", culture="", period="", place="", begin_year=None, end_year=None, photographs=(),
)  # fmt: skip

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("civilisations", {"department": "10"}, "egyptian"),
    ("civilisations", {"department": "13"}, "grecoroman"),
    ("civilisations", {"department": "1"}, "unmapped"),
    ("civilisations", {"department": "10", "period": "Coptic Period"}, "byzantium"),
    ("civilisations", {"department": "10", "period": "Ptolemaic–Byzantine Period"}, "refused"),
    ("civilisations", {"department": "10", "period": "Byzantine or Islamic Period"}, "refused"),
    ("civilisations", {"department": "17", "culture": "Byzantine"}, "byzantium"),
    ("civilisations", {"department": "7", "culture": "coptic"}, "byzantium"),
    ("civilisations", {"department": "17", "culture": "Late Roman or Byzantine"}, "unmapped"),
    ("civilisations", {"department": "17", "culture": "French"}, "unmapped"),
    ("east_asia", {"department": "6", "culture": "China"}, "china"),
    ("east_asia", {"department": "6", "culture": "Korea"}, "korea"),
    ("east_asia", {"department": "6", "culture": "China or Korea"}, "unmapped"),
    ("east_asia", {"department": "10", "culture": "China"}, "unmapped"),
    ("world", {"department": "5", "place": "Nigeria ; Court of Benin"}, "africa"),
    ("world", {"department": "5", "place": "Chile ; Rapa Nui (Easter Island)"}, "oceania"),
    ("world", {"department": "5", "place": "Peru ; South Coast"}, "americas"),
    ("world", {"department": "5", "place": "Papua New Guinea"}, "oceania"),
    ("world", {"department": "5", "place": "United States ; Hawai'i"}, "oceania"),
    ("world", {"department": "5", "place": ""}, "unmapped"),
    ("era", {"department": "10", "begin_year": -2000, "end_year": -1800}, "egypt_early"),
    ("era", {"department": "10", "begin_year": -1400, "end_year": -1300}, "egypt_new_kingdom"),
    ("era", {"department": "10", "begin_year": -1600, "end_year": -1500}, "unmapped"),
    ("era", {"department": "10"}, "unmapped"),
    ("era", {"department": "13", "begin_year": 50, "end_year": 100}, "rome"),
]


@pytest.mark.parametrize(("name", "fields", "expected"), CASES, ids=str)
def test_the_collections_label_records(name: str, fields: dict[str, Any], expected: str) -> None:
    decision = rules(name).label("MET", replace(PLAIN, **fields))
    assert (decision.class_name or decision.outcome) == expected


def test_the_default_collection_has_one_museum() -> None:
    default, thesis = rules(), rules("thesis")
    assert {rule.museum for rule in default._rules} == {"MET"}
    assert {rule.class_name for rule in default._rules if rule.class_name} == set(default.classes)
    museums = {str(rule.class_name): rule.museum for rule in thesis._rules}
    assert museums == dict.fromkeys(default.classes[:5], "LOUVRE") | {"asian": "MET"}


def rules_of(*entries: dict[str, Any], classes: tuple[str, ...] = ("a", "b")) -> ClassRules:
    whole: list[Any] = [{"name": str(n), "museum": "MET", **entry} for n, entry in enumerate(entries)]
    return ClassRules(name="test", classes=list(classes), rules=whole)


def test_the_highest_priority_decides_and_a_tie_is_a_conflict() -> None:
    tie = rules_of({"class": "a"}, {"class": "b"})
    assert (tie.label("MET", PLAIN).outcome, tie.label("MET", PLAIN).rule) == ("conflict", "0, 1")
    settled = rules_of({"class": "a"}, {"class": "b"}, {"class": "b", "priority": 1})
    assert (settled.label("MET", PLAIN).class_name, settled.label("MET", PLAIN).rule) == ("b", "2")
    agreed = rules_of({"class": "a"}, {"class": "a"})
    assert (agreed.label("MET", PLAIN).class_name, agreed.label("MET", PLAIN).rule) == ("a", "0, 1")
    assert rules_of({"class": "a"}).label("LOUVRE", PLAIN).outcome == "unmapped"


def test_rules_match_whole_words() -> None:
    one = rules_of({"class": "a", "culture": ["Iran"]})
    for culture, found in (("Iran", True), ("iran, Nishapur", True), ("Iranian", False), ("ÎRAN", True)):
        assert (one.label("MET", replace(PLAIN, culture=culture)).class_name == "a") is found
    digits = rules_of({"class": "a", "department": 1})
    assert digits.label("MET", PLAIN).outcome == "unmapped"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"class": "c"}, "unknown class 'c'"),
    ({"class": "a", "cultur": ["x"]}, "cultur"),
    ({"class": "a", "culture": []}, "at least 1"),
    ({"class": "a", "years": [1]}, "years"),
    ({}, "class"),
]


@pytest.mark.parametrize(("entry", "reason"), WRONG, ids=str)
def test_an_invalid_rule_is_refused(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        rules_of(entry)
    with pytest.raises(ConfigError, match="two rules have the name"):
        rules_of({"class": "a", "name": "x"}, {"class": "a", "name": "x"})


def test_the_fingerprint_follows_what_matters() -> None:
    assert rules_of({"class": "a"}).fingerprint == rules_of({"class": "a"}).fingerprint
    others = [
        rules_of({"class": "b"}),
        rules_of({"class": "a", "priority": 1}),
        rules_of({"class": "a"}, classes=("b", "a")),
    ]
    assert len({rule.fingerprint for rule in [rules_of({"class": "a"}), *others]}) == 4


def test_no_objects_are_read_for_a_rule_with_seek_false() -> None:
    assert {d for rule in rules().rules_for("MET", ("byzantium",)) for d in rule.department or []} == {
        "17",
        "7",
    }


@pytest.mark.parametrize(
    ("pair", "expected"),
    [((-664, -712), (-712, -664)), ((0, 0), (None, None)), ((364, 0), (364, None)), ((None, 5), (None, 5)),
     ((-5, 0), (-5, 0)), ((3, 3), (3, 3))],
)  # fmt: skip
def test_years_are_normalised(
    pair: tuple[int | None, int | None], expected: tuple[int | None, int | None]
) -> None:
    assert years(*pair) == expected


def test_text_is_folded() -> None:
    assert fold("  Antiquités\u00a0 ÉGYPTIENNES ") == "antiquites egyptiennes"
    assert fold("l’Islam") == fold("L'ISLAM")


@pytest.mark.parametrize(
    ("url", "encoded"),
    [("https://x/a b.jpg", "https://x/a%20b.jpg"), ("https://x/a%20b.jpg", "https://x/a%20b.jpg"),
     ("https://x/50%.jpg", "https://x/50%25.jpg"), ("https://x/a#1?.jpg", "https://x/a%231%3F.jpg"),
     ("https://x/é–.jpg", "https://x/%C3%A9%E2%80%93.jpg")],
)  # fmt: skip
def test_urls_are_encoded_once(url: str, encoded: str) -> None:
    assert percent_encode(url) == encoded


def test_all_invalid_options_are_reported(tmp_path: Any) -> None:
    with pytest.raises(FaultyConfigError) as caught:
        session(None, tmp_path, limit=0, size="huge", retry="all", since="soon", name="a/b")  # type: ignore[arg-type]
    assert [fault.partition("=")[0] for fault in caught.value.faults] == [
        "name",
        "limit",
        "size",
        "since",
        "retry",
    ]
