"""Spellings of classes, and the class list of a data set."""

from __future__ import annotations

import shlex
import unicodedata

import pytest

from heritage.core.labels import (
    choose_classes,
    class_option,
    clean_label,
    comparison_key,
    declared_spellings,
)
from heritage.errors import ManifestError


def test_labels_are_equal_in_both_unicode_forms_and_with_any_blanks() -> None:
    decomposed = unicodedata.normalize("NFD", "Ägypten")
    assert decomposed != "Ägypten"
    assert clean_label(f" {decomposed}\t") == "Ägypten"
    assert clean_label("Old\u00a0  Kingdom") == "Old Kingdom"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Egyptian", "egyptian"),
        ("old_kingdom", "old kingdom"),
        ("Greco-Roman", "greco roman"),
        ("STRASSE", "straße"),
    ],
)
def test_two_spellings_are_refused_with_their_counts(first: str, second: str) -> None:
    names = sorted([first, second])
    counts = {first: 5, second: 1200}
    shown = ", ".join(f"'{name}' ({counts[name]:,} images)" for name in names)
    with pytest.raises(ManifestError) as fault:
        choose_classes({**counts, "islam": 4}, None, "tab.csv")
    assert f"tab.csv: 2 spellings of one class: {shown}; give all of them one spelling" in str(fault.value)


def test_numbers_with_zeros_are_other_classes() -> None:
    assert choose_classes({"1": 1, "01": 1, "001": 1, "1-1": 1, "11": 1}, None, "t") == (
        "001", "01", "1", "1-1", "11",
    )  # fmt: skip


def test_all_classes_of_a_data_set_are_the_default() -> None:
    assert choose_classes({"korea": 1, "china": 2}, None, "t") == ("china", "korea")
    assert choose_classes({"islam": 1, "egyptian": 2}, None, "t") == ("egyptian", "islam")


def test_declared_classes_choose_and_order(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_classes({"korea": 1, "china": 2, "japan": 1}, ["korea", "china"], "t") == ("korea", "china")
    assert "left out, as data.classes does not list it: 'japan' (1 image)" in caplog.text


def test_the_message_has_both_sides_each_in_its_place() -> None:
    with pytest.raises(ManifestError) as fault:
        choose_classes({"0": 3, "1": 2}, ["egyptian", "islam"], "t.parquet")
    assert str(fault.value) == (
        "t.parquet: unknown class '0', '1': data.classes lists egyptian, islam; there are images of "
        "'0' (3 images), '1' (2 images); rename the class, or set 'data.classes=[\"0\",\"1\"]'"
    )
    with pytest.raises(
        ManifestError,
        match=r"'islam' in data.classes \(did you mean Islam\?\): data.classes lists egyptian, islam;",
    ):
        choose_classes({"egyptian": 3, "Islam": 2}, ["egyptian", "islam"], "t")


@pytest.mark.parametrize(
    "names",
    [["china", "japan"], ["0", "01"], ["Old Kingdom", "Ägypten"], ['a"b', "c,d", "e\\"], ["null", "d'Arc"]],
)
def test_the_option_that_a_message_names_means_these_classes(names: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (word,) = shlex.split(shlex.quote(class_option(names)))
    (override,) = OverridesParser.create().parse_overrides([word])
    value = override.value()
    assert isinstance(value, list)
    assert [str(word) for word in value] == names


def test_invisible_characters_are_no_part_of_a_label() -> None:
    assert clean_label("\ufeffis\u00adlam\u200b\u200e") == "islam"
    assert clean_label("می\u200cخواهم") == "می\u200cخواهم", "a joiner is a part of the spelling"
    assert comparison_key("greco\u2010roman") == comparison_key("greco-roman")


def test_labels_take_the_spelling_of_the_class_list() -> None:
    assert declared_spellings({"Egyptian": 2, "islam": 1}, ["egyptian", "islam"]) == {"Egyptian": "egyptian"}
    assert declared_spellings({"Egyptian": 2, "egyptian": 1}, ["egyptian"]) == {}, "an error, later"
    assert declared_spellings({"China": 2}, None) == {}
    assert declared_spellings({"a b": 1}, ["A-B", "A B"]) == {}
