"""Text files among the inputs: tables, as Excel and R write them, and lists of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from heritage.prediction.inputs import _is_table


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file\tclass\r\na.jpg\tx\r\nmy b.jpg\ty\r\n", "utf-16"),  # Excel's "Unicode text"
        ('"File" "class"\n"1" "a.jpg" "x"\n', "utf-8"),  # R's write.table
        ("nr;file\n1;a.jpg\n", "cp1252"),
    ],
)
def test_a_text_file_whose_first_line_names_the_column_is_a_table(
    tmp_path: Path, text: str, encoding: str
) -> None:
    (tmp_path / "t.txt").write_text(text, encoding=encoding)
    assert _is_table(tmp_path / "t.txt", "file")
    assert not _is_table(tmp_path / "t.txt", "photo")


@pytest.mark.parametrize("text", ["", "a.jpg\nmy b.jpg\n", "file\na.jpg\n", "a, file.jpg\nb.jpg\n"])
def test_other_text_files_are_lists(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    assert not _is_table(tmp_path / "t.txt", "file")
