"""Verdicts of the page become decisions: by checksum, the last of each reviewer, none if they disagree."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.core.csv_files import csv_of_records
from heritage.core.verdicts import COLUMNS
from heritage.curation.verdicts import ReplayedVerdicts, replay_verdicts
from heritage.errors import ManifestError

CLASSES = ("bowl", "vase")


class Source:
    """Raw files, and a file of verdicts on them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.out, self.file = folder / "raw", folder / "out", folder / "verdicts.csv"
        self.root.mkdir()
        self.out.mkdir()
        self.labels: dict[str, str | None] = {}
        self.rows: list[dict[str, object]] = []

    def add(self, name: str, label: str) -> bytes:
        (self.root / name).write_bytes(data := f"photograph {name}".encode())
        self.labels[name] = label
        return data

    def judge(self, data: bytes, verdict: str, label: str = "", **cells: object) -> None:
        self.rows.append({
            "time": f"2026-01-{len(self.rows) + 1:02}", "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data), "file": f"upload {len(self.rows)}.jpg", "verdict": verdict,
            "class": label, **cells,
        })  # fmt: skip

    def replay(self) -> ReplayedVerdicts:
        self.file.write_text(csv_of_records(COLUMNS, self.rows), encoding="utf-8")
        return replay_verdicts(self.file, self.root, self.labels, CLASSES, self.out)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def test_right_keeps_and_another_class_relabels(source: Source) -> None:
    kept, changed, confirmed_other = (source.add(name, "bowl") for name in ("a.jpg", "b.jpg", "c.jpg"))
    source.judge(kept, "right", "bowl", reviewer="Ann")
    source.judge(changed, "wrong", "vase")
    source.judge(confirmed_other, "right", "vase")  # the network is right, and the source is not
    replayed = source.replay()
    decisions = {file: (one.decision, one.label) for file, one in replayed.overrides.items()}
    assert decisions == {
        "a.jpg": ("keep", None), "b.jpg": ("relabel", "vase"), "c.jpg": ("relabel", "vase"),
    }  # fmt: skip
    assert replayed.overrides["a.jpg"].note == "verdict of Ann, 2026-01-01"
    assert replayed.remarks == ("Verdicts decide on 3 photographs.",)


def test_the_last_verdict_of_a_reviewer_counts_and_a_disagreement_does_not(source: Source) -> None:
    once, disputed = source.add("a.jpg", "bowl"), source.add("b.jpg", "bowl")
    source.judge(once, "wrong", "vase", reviewer="Ann")
    source.judge(once, "right", "bowl", reviewer="Ann")
    source.judge(disputed, "wrong", "vase", reviewer="Ann")
    source.judge(disputed, "right", "bowl", reviewer="Ben")
    replayed = source.replay()
    assert {file: one.decision for file, one in replayed.overrides.items()} == {"a.jpg": "keep"}
    assert replayed.remarks[1:] == (
        "1 photograph is left as it is, because reviewers disagree: upload 2.jpg.",
    )


def test_unmatched_and_undecided_verdicts_are_counted_and_named(source: Source) -> None:
    known = source.add("a.jpg", "bowl")
    source.judge(known, "unknown")
    for number in range(7):
        source.judge(f"foreign {number}".encode(), "right", "bowl")
    replayed = source.replay()
    assert replayed.overrides == {}
    assert replayed.remarks == (
        "Verdicts decide on 0 photographs.",
        (
            "7 photographs are judged, but not in this source (no file has the checksum): upload 1.jpg, "
            "upload 2.jpg, upload 3.jpg, upload 4.jpg, upload 5.jpg and 2 more."
        ),
        "1 photograph is left as it is, because no class was given: upload 0.jpg.",
    )


def test_images_of_the_earlier_build_are_matched(source: Source) -> None:
    source.add("a.jpg", "bowl")
    resized = b"the image of the data set"
    table = pa.table({"sha256": [hashlib.sha256(resized).hexdigest()], "raw_file": ["a.jpg"]})
    pq.write_table(table, source.out / "manifest.parquet")
    source.judge(resized, "wrong", "vase")
    assert source.replay().overrides["a.jpg"].label == "vase"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"sha256": "xyz"}, "line 2: no SHA-256"),
        ({"verdict": "maybe"}, "line 2: unknown verdict 'maybe'"),
        ({"class": "bowll"}, "line 2: unknown class 'bowll'; did you mean 'bowl'?"),
    ],
)
def test_faulty_lines_are_named(source: Source, cells: dict[str, str], message: str) -> None:
    source.judge(source.add("a.jpg", "bowl"), **({"verdict": "right"} | cells))
    source.rows[0].update(cells)
    with pytest.raises(ManifestError) as raised:
        source.replay()
    assert message in str(raised.value)
