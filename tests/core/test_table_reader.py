"""Tables as Excel, pandas and R write them."""

from __future__ import annotations

import datetime
import logging
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.core.files import LFS_POINTER
from heritage.core.table_cells import whole_number
from heritage.core.table_reader import read_table
from heritage.core.text_encoding import decode_text
from heritage.errors import ManifestError, MissingDependencyError

ROWS = [{"file": "a.jpg", "class": "Ägypten"}, {"file": "b.jpg", "class": "Islam"}]
TEXT = "file,class\na.jpg,Ägypten\nb.jpg,Islam\n"


def rows_of(path: Path, content: str | bytes, encoding: str = "utf-8") -> list[dict[str, object]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    rows: list[dict[str, object]] = read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encoding_separator_and_line_ends_are_found(
    tmp_path: Path, encoding: str, separator: str, line_end: str
) -> None:
    text = TEXT.replace(",", separator).replace("\n", line_end)
    assert rows_of(tmp_path / "t.csv", text, encoding) == ROWS


def test_windows_1252_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows_of(tmp_path / "t.csv", TEXT, "cp1252")
    assert "read as Windows-1252 (cp1252)" in caplog.text
    caplog.clear()
    rows_of(tmp_path / "t.csv", TEXT)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sep=;\r\nfile;class\r\na.jpg;x\r\n", [{"file": "a.jpg", "class": "x"}]),  # Excel's hint
        ('file;class\n"a, b.jpg";"x, y"\n', [{"file": "a, b.jpg", "class": "x, y"}]),
        ('file,note\na.jpg,"one\ntwo; three"\n', [{"file": "a.jpg", "note": "one\ntwo; three"}]),
        (" file , class \na.jpg,x\n", [{"file": "a.jpg", "class": "x"}]),
        (",file,class\n0,a.jpg,x\n", [{"file": "a.jpg", "class": "x"}]),  # the index of pandas
        ('"","file","class"\n"1","a.jpg","x"\n', [{"file": "a.jpg", "class": "x"}]),  # write.csv
        ('"file" "class"\n"1" "a b.jpg" "x"\n', [{"file": "a b.jpg", "class": "x"}]),  # write.table
        ('"file"\t"class"\n"1"\t"a.jpg"\t"x"\n', [{"file": "a.jpg", "class": "x"}]),
        ("file;class;;\na.jpg;x;;\n;;;\n", [{"file": "a.jpg", "class": "x"}]),  # empty cells of a sheet
        ("file\na.jpg\n", [{"file": "a.jpg"}]),
        ("file,class\na.jpg,x,\n", [{"file": "a.jpg", "class": "x"}]),
        ("Export;;\nfile;class;nr\na.jpg;x;1\n", [{"file": "a.jpg", "class": "x", "nr": "1"}]),
        ("file;class;weight\na.jpg;x;1,5\n", [{"file": "a.jpg", "class": "x", "weight": "1,5"}]),
        (",file\n0,a.jpg\n", [{"file": "a.jpg"}]),
        ("file,note,note\na.jpg,1,2\n", [{"file": "a.jpg", "note": "1", "note.2": "2"}]),
        ("file,class\n007.jpg,01\n", [{"file": "007.jpg", "class": "01"}]),  # zeros stay
        ("file,class\n", []),
        ("List, of 2024\n\nfile;class;nr\na.jpg;x;1\n", [{"file": "a.jpg", "class": "x", "nr": "1"}]),
        ("List;;\n;;\nfile;class;nr\na.jpg;x;1\n", [{"file": "a.jpg", "class": "x", "nr": "1"}]),
        ("# by hand\nfile,class\na.jpg,x\n", [{"file": "a.jpg", "class": "x"}]),
        ("file;note\na.jpg;b, c, d\n", [{"file": "a.jpg", "note": "b, c, d"}]),
        ('"file"\n"1","a.jpg"\n"2","b.jpg"\n', [{"file": "a.jpg"}, {"file": "b.jpg"}]),  # R's row names
        ("file,class\r\r\na.jpg,x\r\r\n", [{"file": "a.jpg", "class": "x"}]),  # Python without newline=""
    ],
)  # fmt: skip
def test_dialects(tmp_path: Path, text: str, expected: list[dict[str, str]]) -> None:
    assert rows_of(tmp_path / "t.csv", text) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table is empty"),
        (LFS_POINTER + b"v1\noid sha256:00\n", "a Git LFS pointer and not the table; run `git lfs pull`"),
        (b"\xd0\xcf\x11\xe0rest", r"an old Excel file \(.xls\).*; save it as CSV \(UTF-8\), .xlsx"),
        (b"\x1f\x8brest", "compressed"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b'[{"file": "a.jpg"}]', "it is JSON"),
        (b"PK\x03\x04rest", "not an Excel file"),
        (b"file,class\na.jpg,\x81\x00\n", "not text in UTF-8"),
        (b"file,class\na.jpg,x,y\nb.jpg\n", "row 1 has 3 cells instead of 2"),
        (b"file,file\na.jpg,b.jpg\n", "column 'file' occurs twice"),
    ],
)
def test_what_cannot_be_read_names_the_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_table(tmp_path / "t.csv", ["file"])


def test_excel_cells_are_text_as_excel_shows_them(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("objects")
    sheet.append([])
    sheet.append(["file", "class ", None, "year", "public", "seen"])
    sheet.append(["a.jpg", "Ägypten", "x", -1500.0, True, datetime.datetime(1850, 1, 31)])
    sheet.append([])
    sheet.append(["b.jpg", "007", None, 1.5, False, None])
    book.save(tmp_path / "t.xlsx")
    assert read_table(tmp_path / "t.xlsx").to_pylist() == [
        {"file": "a.jpg", "class": "Ägypten", "year": "-1500", "public": "TRUE", "seen": "1850-01-31"},
        {"file": "b.jpg", "class": "007", "year": "1.5", "public": "FALSE", "seen": None},
    ]


def test_excel_without_openpyxl_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04")
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(
        MissingDependencyError, match=r"pip install 'heritage\[excel\]', or save the table as CSV"
    ):
        read_table(tmp_path / "t.xlsx")


def test_parquet_of_pandas_loses_its_index(tmp_path: Path) -> None:
    table = pa.table({"file ": ["a.jpg"], "__index_level_0__": [3]})
    pq.write_table(table, tmp_path / "t.data")  # known by its content
    assert read_table(tmp_path / "t.data").to_pylist() == [{"file": "a.jpg"}]


def test_lists_are_decoded_like_tables(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert decode_text("Ägypten.jpg\n".encode("cp1252"), tmp_path / "l.txt") == "Ägypten.jpg\n"
    assert decode_text("\ufeffa.jpg\n".encode(), tmp_path / "l.txt") == "a.jpg\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-500", -500), ("1850.0", 1850), (" 12 ", 12), ("500 BCE", -500), ("500 BC", -500),
        ("500 B.C.", -500), ("c. 300 AD", 300), ("AD 79", 79), ("300 CE", 300), ("1850-01-31", 1850),
        ("1850-01-31 00:00:00", 1850),
        ("\u2212500", -500), ("-500-01-01", -500), ("1.5", None), ("unknown", None), ("19th century", None),
    ],
)  # fmt: skip
def test_years(text: str, number: int | None) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n;;\n", "the table is empty"), (b"\x01\x00\x02\x03" * 9, "binary"), (b"<stata_dta>", "Stata file")],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        rows_of(tmp_path / "t.csv", content)


def test_the_sheet_and_the_header_of_an_excel_table_are_found(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Read this first"])
    sheet = book.create_sheet("objects")
    for row in (["Objects of 2024", None], [], ["File", "class"], ["a.jpg", "x"]):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    assert read_table(tmp_path / "t.xlsx", ["file"]).to_pylist() == [{"File": "a.jpg", "class": "x"}]


@pytest.mark.parametrize(
    ("text", "year"),
    [("500 v. Chr.", -500), ("79 n. Chr.", 79), ("um 1200", 1200), ("44 av. J.-C.", -44),
     ("vers 300 ap. J.-C.", 300),
     ("1850,0", 1850), ("500 v. u. Z.", -500), ("300 u. Z.", 300), ("12. Jh.", None), ("1200-1250", None)],
)  # fmt: skip
def test_german_and_french_years(text: str, year: int | None) -> None:
    assert whole_number(text) == year


COMMENTED = [
    "# exported 2024\n# by me\nfile,class\na.jpg,x\n",
    "# exported 2024, by me\nfile,class\na.jpg,x\n",
    "#\n\n# one, two, three\nfile,class\na.jpg,x\n",
    "An inventory\nof 2024\nfile,class\na.jpg,x\n",
    "Inventory 2024,,\nof a museum,,\n,,\nfile,class,\na.jpg,x,\n",
]


@pytest.mark.parametrize("text", COMMENTED)
def test_several_lines_above_the_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert read_table(tmp_path / "t.csv", {"file", "class"}).to_pylist() == [{"file": "a.jpg", "class": "x"}]


def test_a_header_may_begin_with_a_hash(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("# file,class\na.jpg,x\n")
    assert read_table(tmp_path / "t.csv", {"file", "class"}).column_names == ["# file", "class"]


def test_lines_of_two_encodings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = "file,class\nété.jpg,x\n".encode() + "où.jpg,é\n".encode("cp1252")
    (tmp_path / "t.csv").write_bytes(data)
    assert read_table(tmp_path / "t.csv")["file"].to_pylist() == ["été.jpg", "où.jpg"]
    assert "t.csv: not UTF-8, 1 line read as Windows-1252 (cp1252)" in caplog.text


def test_formulas_without_results_are_named(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["file", "class"], ["a.jpg", '="x"']):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(ManifestError, match=r"column class has no values: .*save it again"):
        read_table(tmp_path / "t.xlsx", {"file", "class"})


@pytest.mark.parametrize(
    ("text", "number"),
    [("-1,500", -1500), ("ca. 1.500 v. Chr.", -1500), ("1,000", 1000), ("10 000 BC", -10000), ("1'200", 1200),
     ("1,50", None), ("1.5", None), ("12,3456", None), ("1850.0", 1850), ("1850.000", 1850)],
)  # fmt: skip
def test_years_with_a_separator_of_thousands(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def excel_table(path: Path, rows: Sequence[Sequence[object]], *, merged: list[str], titles: int = 0) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["no", "columns"])
    sheet = book.create_sheet("objects")
    titled: list[Sequence[object]] = [*([["A title"]] * titles), *rows]
    for row in titled:
        sheet.append(list(row))
    for area in merged:
        sheet.merge_cells(area)
    for number in (3, 4):
        sheet.row_dimensions[number].hidden = True
    book.save(path)
    return path


def test_all_rows_of_a_merged_cell_have_its_value(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows: list[list[object]] = [["file", "class", "lot"]]
    rows += [[f"{number}.jpg", "china" if number < 3 else "japan", number // 2] for number in range(5)]
    path = excel_table(
        tmp_path / "t.xlsx", rows, merged=["A1:C1", "B3:B5", "B6:B8", "C3:C4", "A9:A20"], titles=1
    )
    with caplog.at_level(logging.INFO):
        table = read_table(path, {"file", "class"})
    assert table["file"].to_pylist() == [f"{number}.jpg" for number in range(5)]
    assert table["class"].to_pylist() == ["china", "china", "china", "japan", "japan"]
    assert table["lot"].to_pylist() == ["0", "0", "1", "1", "2"]
    assert "4 cells have the value of the merged cell" in caplog.text


def test_rows_that_a_filter_hides_and_beyond_a_wrong_size_are_read(tmp_path: Path) -> None:
    """Some programs write the size of a sheet as A1."""
    path = excel_table(tmp_path / "t.xlsx", [["file"], *[[f"{n}.jpg"] for n in range(9)]], merged=[])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', content))
    assert read_table(path, {"file"})["file"].to_pylist() == [f"{n}.jpg" for n in range(9)]


@pytest.mark.parametrize(
    "text",
    [
        "file class title\n1 a.jpg x T\n2 b.jpg y T\n",  # R's write.table(quote = FALSE)
        "file class title\na.jpg x T\nb.jpg y T\n",
        'file,class,title\na.jpg,x,A \\"bowl\\"\\, large\nb.jpg,y,A cup\\, small\n',
        "file,class,title\na.jpg,x,'A bowl, large'\nb.jpg,y,'A cup, small'\n",
        "file;class;title\na.jpg;x;'A bowl; large'\nb.jpg;y;A cup\n",
    ],
)
def test_blanks_escapes_and_other_quotation_marks(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    table = read_table(tmp_path / "t.csv", {"file", "class"})
    assert table.column_names == ["file", "class", "title"]
    assert table["file"].to_pylist() == ["a.jpg", "b.jpg"]
    assert table["class"].to_pylist() == ["x", "y"]


def test_backslashes_apostrophes_and_blanks_in_plain_tables_stay(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,class\na\\b.jpg,'tis\nc\\,d\n")
    assert read_table(tmp_path / "t.csv").to_pylist() == [
        {"file": "a\\b.jpg", "class": "'tis"},
        {"file": "c\\", "class": "d"},
    ]
    (tmp_path / "t.csv").write_text("file name\nmy a.jpg\n")
    assert read_table(tmp_path / "t.csv", {"file", "class"}).column_names == ["file name"]
