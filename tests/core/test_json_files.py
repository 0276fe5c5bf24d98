"""JSON files of unknown origin are bounded and have the types that their readers declare."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heritage.core.json_files import Count, JsonModel, Score, parsed_json, read_json_file


class Record(JsonModel):
    images: Count = 0
    score: Score = None
    counts: dict[str, Count] | None = None


def test_content_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"images": 3, "score": 1, "later": [1]}')
    assert read_json_file(tmp_path / "x.json", Record) == {"images": 3, "score": 1, "later": [1]}


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "[]", "1", "null", '"x"', "[" * 100_000, '{"a":' * 50_000, '{"images": -1}',
        '{"images": 1.5}', '{"images": "1"}', '{"images": true}', '{"images": null}', '{"score": NaN}',
        '{"score": 1e999}', '{"score": []}', '{"counts": {"a": 1e999}}', '{"later": "\\ud800"}',
        '{"images": ' + "9" * 400 + "}", '{"images": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_other_content_is_one_short_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        parsed_json(text.encode(), Record)
    assert len(str(caught.value)) < 300


def test_a_pair_of_surrogates_is_text() -> None:
    assert parsed_json(b'{"later": "\\ud83c\\udffa"}', Record) == {"later": "\N{AMPHORA}"}


def test_pipes_and_large_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(OSError, match="not a regular file"):
        read_json_file(tmp_path / "pipe.json", Record)
    (tmp_path / "large.json").write_text('{"images": 1}' + " " * 100)
    with pytest.raises(OSError, match="more than"):
        read_json_file(tmp_path / "large.json", Record, limit=100)
