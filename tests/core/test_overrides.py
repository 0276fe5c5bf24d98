"""Rows without a decision, such as suggested label errors, change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heritage.core.manifest import Manifest
from heritage.core.overrides import count_unconfirmed, count_undecided, read_overrides
from heritage.errors import ManifestError
from heritage.metrics.label_errors import find_label_errors, write_label_errors

CLASSES = ["asian", "islam"]


def test_suggestions_do_nothing_until_a_person_decides_a_row(tmp_path: Path) -> None:
    names = [f"{k}.jpg" for k in range(6)]
    labels = ["asian"] * 3 + ["islam"] * 3
    manifest = Manifest.build({"file": names, "class": labels}, tmp_path, CLASSES)
    sure = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.8, 0.2]])
    path = tmp_path / "label_errors.csv"
    rows = write_label_errors(find_label_errors(sure, manifest.targets), sure, manifest, path)
    assert {row["file"]: row["class"] for row in rows} == {"2.jpg": "islam", "5.jpg": "asian"}
    assert read_overrides(path, CLASSES) == {}
    assert count_undecided(path) == 2

    path.write_text(path.read_text().replace("2.jpg,,", "2.jpg,relabel,"))
    decided = read_overrides(path, CLASSES)
    assert {file: one.label for file, one in decided.items()} == {"2.jpg": "islam"}
    assert count_undecided(path) == 1


def test_misspelt_decisions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "overrides.csv"
    path.write_text("file,decision,class\n1.jpg,,asian\n2.jpg,relable,asian\n")
    with pytest.raises(ManifestError, match=r"line 3.*did you mean '?relabel"):
        read_overrides(path, CLASSES)


EARLIER = """file,decision,class,sha256,note
1.jpg,relabel,islam,,"labelled asian (1.2%), looks like islam (97.0%)"
2.jpg,relabel,islam,,"labelled asian (4.0%), looks like islam (88.8%)"
3.jpg,relabel,asian,,stonepaste
"""


@pytest.mark.parametrize(
    ("old", "new", "decided", "unconfirmed"),
    [
        ("", "", ["3.jpg"], 2),
        (',"labelled asian (1.2%), looks like islam (97.0%)"', ",", ["1.jpg", "3.jpg"], 1),
        ("1.jpg,relabel", "1.jpg,drop", ["1.jpg", "3.jpg"], 1),
        ("1.jpg,relabel,islam", "1.jpg,relabel,asian", ["1.jpg", "3.jpg"], 1),
        ("1.jpg,relabel", "1.jpg,", ["2.jpg", "3.jpg"], 0),  # a person left one undecided
    ],
)
def test_suggestions_with_the_decision_of_an_earlier_version(
    tmp_path: Path, old: str, new: str, decided: list[str], unconfirmed: int
) -> None:
    path = tmp_path / "label_errors.csv"
    path.write_text(EARLIER.replace(old, new) if old else EARLIER)
    assert list(read_overrides(path, CLASSES)) == decided
    assert count_unconfirmed(path) == unconfirmed


def test_a_suggestion_of_this_version_needs_only_its_decision(tmp_path: Path) -> None:
    manifest = Manifest.build({"file": ["1.jpg", "2.jpg"], "class": CLASSES}, tmp_path, CLASSES)
    sure = np.array([[0.2, 0.8], [0.9, 0.1]])
    path = tmp_path / "label_errors.csv"
    write_label_errors(find_label_errors(sure, manifest.targets), sure, manifest, path)
    path.write_text(path.read_text().replace(".jpg,,", ".jpg,relabel,"))
    assert {file: one.label for file, one in read_overrides(path, CLASSES).items()} == {
        "1.jpg": "islam",
        "2.jpg": "asian",
    }
    assert count_unconfirmed(path) == 0
