"""The data set as a whole: duplicates, overrides, rebuilding, adding photographs, credits and the report."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest

from heritage.core.image_io import decode
from heritage.core.manifest import Manifest
from heritage.core.packed_images import PackedImages
from heritage.curation import html_report
from heritage.curation.output import CurationResult
from heritage.errors import ManifestError
from heritage.reports.histograms import Histogram
from tests.curation.conftest import Curate
from tests.curation.raw_folders import (
    COLUMNS,
    class_tree,
    jpeg,
    photograph,
    reasons,
    table_rows,
    write,
    write_table,
)

TREE = "raw=class_folders"


def split_of(curated: CurationResult) -> dict[str, str]:
    return dict(zip(curated.kept.column("raw_file"), curated.kept.column("split"), strict=True))


def tree_with_duplicates(root: Path) -> Path:
    """Sound photographs, a copy, two near-duplicates and a conflict two to one."""
    class_tree(root, each=20)
    (root / "islam" / "copy.jpg").write_bytes((root / "islam" / "islam000.jpg").read_bytes())
    small = cv2.resize(photograph(1), (100, 75), interpolation=cv2.INTER_AREA)
    write(root / "islam" / "small.jpg", small)
    write(root / "islam" / "again.jpg", photograph(2), quality=60)
    write(root / "orient" / "other.jpg", photograph(2), quality=70)
    return root


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((), {"islam/islam000.jpg": "duplicate", "islam/again.jpg": "label conflict",
              "islam/islam002.jpg": "label conflict", "orient/other.jpg": "label conflict"}),
        (("duplicates.exact=keep", "duplicates.conflict=keep"), {}),
        (("duplicates.near=drop", "duplicates.conflict=majority"),
         {"islam/islam000.jpg": "duplicate", "islam/small.jpg": "near-duplicate",
          "orient/other.jpg": "label conflict", "islam/islam002.jpg": "near-duplicate"}),
        (("duplicates.placeholder_objects=3",),
         {"islam/islam000.jpg": "duplicate", "islam/again.jpg": "placeholder",
          "islam/islam002.jpg": "placeholder", "orient/other.jpg": "placeholder"}),
    ],
)  # fmt: skip
def test_options_for_duplicates(
    tmp_path: Path, curate_folder: Curate, settings: tuple[str, ...], expected: dict[str, str]
) -> None:
    curated = curate_folder(tree_with_duplicates(tmp_path / "raw"), TREE, *settings)
    assert reasons(curated) == expected
    groups = dict(
        zip(curated.table["raw_file"].to_pylist(), curated.table["group_id"].to_pylist(), strict=True)
    )
    assert groups["islam/islam001.jpg"] == groups["islam/small.jpg"]


def test_objects_with_the_same_photograph_are_one_group(tmp_path: Path, curate_folder: Curate) -> None:
    root = write_table(tmp_path / "raw", table_rows())
    for index in range(24):
        write(root / "images" / f"{index}.jpg", photograph(index))
    write(root / "images" / "7.jpg", photograph(0))
    write(root / "images" / "0.jpg", photograph(0))
    rows = [{**row, "kind": "islam"} for row in table_rows()]
    write_table(root, rows)
    curated = curate_folder(root, *COLUMNS)
    groups = defaultdict(set)
    for group, one in zip(
        curated.table["group_id"].to_pylist(), curated.table["object_id"].to_pylist(), strict=True
    ):
        groups[group].add(one)
    assert {"000", "003"} in groups.values()
    assert len(groups) == 11


def test_adding_photographs_keeps_the_split_of_the_others(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw", each=40)
    before = split_of(curate_folder(root, TREE))
    for index in range(30):
        write(root / "islam" / f"a{index}.jpg", photograph(5000 + index))
    after = split_of(curate_folder(root, TREE))
    assert {file: after[file] for file in before} == before
    assert len(after) == 110


def test_a_data_set_is_rebuilt_from_its_manifest(tmp_path: Path, curate_folder: Curate) -> None:
    root = tree_with_duplicates(tmp_path / "raw")
    (tmp_path / "o.csv").write_text("file,decision,class,note\nislam/islam005.jpg,relabel,orient,tile\n"
                                    "islam/islam006.jpg,drop,,blurred\n")  # fmt: skip
    first = curate_folder(root, TREE, f"overrides={tmp_path / 'o.csv'}", "split.seed=3")
    again = curate_folder(
        root, "raw=rebuild", f"raw.dataset={tmp_path / 'out'}", "split.seed=3", out=tmp_path / "again"
    )
    assert again.kept.fingerprint == first.kept.fingerprint
    assert reasons(again) == reasons(first)
    for file in first.kept.column("file"):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    write(root / "islam" / "islam007.jpg", photograph(777))
    changed = curate_folder(
        root, "raw=rebuild", f"raw.dataset={tmp_path / 'out'}", "split.seed=3", out=tmp_path / "third"
    )
    assert reasons(changed)["islam/islam007.jpg"] == "changed"


def test_a_data_set_that_has_grown_is_rebuilt_with_its_splits(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw", each=30)
    curate_folder(root, TREE)
    for index in range(30):
        write(root / "islam" / f"a{index}.jpg", photograph(5000 + index))
    grown = curate_folder(root, TREE)
    rebuild = ("raw=rebuild", f"raw.dataset={tmp_path / 'out'}")
    again = curate_folder(root, *rebuild, out=tmp_path / "again")
    assert again.kept.fingerprint == grown.kept.fingerprint
    at_once = curate_folder(root, TREE, out=tmp_path / "at_once")
    assert at_once.kept.fingerprint != grown.kept.fingerprint


def test_rebuilding_reports_options_that_differ(
    tmp_path: Path, curate_folder: Curate, caplog: pytest.LogCaptureFixture
) -> None:
    root = class_tree(tmp_path / "raw")
    curate_folder(root, TREE)
    rebuild = ("raw=rebuild", f"raw.dataset={tmp_path / 'out'}")
    caplog.set_level("INFO")
    curate_folder(root, *rebuild, out=tmp_path / "same")
    assert "the fingerprints are the same" in caplog.text
    curate_folder(root, *rebuild, "resize.size=48", out=tmp_path / "other")
    assert "the rebuilt data set differs from the original (resize.size=48 instead of 64)" in caplog.text


def test_packing_logs_the_space_it_needs_and_stale_packed_images(
    tmp_path: Path, curate_folder: Curate, caplog: pytest.LogCaptureFixture
) -> None:
    root = class_tree(tmp_path / "raw")
    caplog.set_level("INFO")
    curate_folder(root, TREE, "pack=true")
    logged = caplog.text
    assert "packing will take up to" in logged[: logged.index("inspecting")]
    packed = PackedImages.open(tmp_path / "out" / "packed")
    packed.verify()
    caplog.clear()
    curate_folder(root, TREE)
    assert "pack again" not in caplog.text
    write(root / "islam" / "new.jpg", photograph(400))
    curate_folder(root, TREE)
    assert "is not read: pack again (pack=true) or remove it" in caplog.text
    curated = curate_folder(root, TREE, "pack=true")
    assert PackedImages.open(tmp_path / "out" / "packed").fingerprint == curated.kept.fingerprint


def test_adding_a_class_keeps_the_split_of_the_others(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw", ("china", "korea"), each=30)
    before = split_of(curate_folder(root, TREE))
    for index in range(10):
        write(root / "asia" / f"{index}.jpg", photograph(7000 + index))
        write(root / "china" / f"a{index}.jpg", photograph(8000 + index))
    after = split_of(curate_folder(root, TREE))
    assert {file: after[file] for file in before} == before


def test_folds_do_not_depend_on_the_test_fold(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw", each=30)
    curate_folder(root, TREE, "split.folds=3", "split.fold=0")
    for index in range(20):
        write(root / "islam" / f"a{index}.jpg", photograph(5000 + index))
    folds = []
    for fold in range(3):
        curated = curate_folder(root, TREE, "split.folds=3", f"split.fold={fold}")
        folds.append(curated.kept.column("fold"))
        tested = [part == "test" for part in curated.kept.column("split")]
        assert tested == [one == fold for one in folds[-1]]
    assert folds[0] == folds[1] == folds[2]


def test_rows_without_a_decision_are_counted_and_change_nothing(
    tmp_path: Path, curate_folder: Curate
) -> None:
    root = class_tree(tmp_path / "raw")
    (tmp_path / "o.csv").write_text("file,decision,class\nislam/islam000.jpg,,asian\n")
    curated = curate_folder(root, TREE, f"overrides={tmp_path / 'o.csv'}")
    assert "1 row without a decision changes nothing (o.csv)." in curated.remarks
    files = dict(zip(curated.table["raw_file"].to_pylist(), curated.table["class"].to_pylist(), strict=True))
    assert files["islam/islam000.jpg"] == "islam"


def test_overrides_in_the_output_folder_are_never_lost(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    (tmp_path / "o.csv").write_text("file,decision\nislam/islam005.jpg,drop\n")
    curate_folder(root, TREE, f"overrides={tmp_path / 'o.csv'}")
    rebuild = ("raw=rebuild", f"raw.dataset={tmp_path / 'out'}")
    again = tmp_path / "again"
    curate_folder(root, *rebuild, out=again)
    more = (again / "overrides.csv").read_text() + "islam/islam006.jpg,drop\n"
    (again / "overrides.csv").write_text(more)
    curated = curate_folder(root, *rebuild, out=again)  # those in the folder go before the source's
    assert set(reasons(curated)) == {"islam/islam005.jpg", "islam/islam006.jpg"}
    curate_folder(root, *rebuild, f"overrides={tmp_path / 'o.csv'}", out=again)
    saved = list((again / ".curation").glob("overrides-*.csv"))
    assert [path.read_text() for path in saved] == [more]


def test_overrides_are_applied_and_stale_ones_reported(tmp_path: Path, curate_folder: Curate) -> None:
    root = tree_with_duplicates(tmp_path / "raw")
    digest = hashlib.sha256((root / "islam" / "islam004.jpg").read_bytes()).hexdigest()
    lines = [
        "file,decision,class,sha256,note",
        f"islam/islam004.jpg,relabel,orient,{digest[:12]},a tile",
        "islam/islam005.jpg,drop,,,out of focus",
        "islam/islam000.jpg,keep,,,",
        "islam/gone.jpg,drop,,,",
        "islam/islam006.jpg,drop,,0123456789ab,",
        "islam/islam007.jpg,relabel,orient,0123456789ab,",
        "orient/orient000.jpg,relabel,orient,,",
    ]
    curate_folder(root, TREE)
    (tmp_path / "out" / "overrides.csv").write_text("\n".join(lines))
    curated = curate_folder(root, TREE)
    kept = dict(zip(curated.kept.column("raw_file"), curated.kept.column("image_id"), strict=True))
    assert kept["islam/islam004.jpg"].startswith("3_LOCAL_")
    assert "islam/islam005.jpg" not in kept
    assert "islam/islam000.jpg" in kept
    photographs = {"islam/islam006.jpg", "islam/islam007.jpg", "orient/orient000.jpg"}
    assert set(curated.stale) == {"islam/gone.jpg", *photographs}
    assert "islam/islam006.jpg" in kept
    assert kept["islam/islam007.jpg"].startswith("4_LOCAL_")  # it was another photograph that was relabelled
    assert (tmp_path / "out" / "images" / f"{kept['islam/islam007.jpg']}.jpg").is_file()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "stale: the file no longer exists" in page


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg,dorp,", "unknown decision 'dorp'; did you mean 'drop'"),
        ("a.jpg,relabel,orientt", "cannot relabel to 'orientt'; did you mean 'orient'"),
        (",drop,", "no file"),
        ("b.jpg,drop,\nb.jpg,keep,", "'b.jpg' has two decisions"),
    ],
)
def test_an_error_for_an_invalid_override_names_its_line(
    tmp_path: Path, curate_folder: Curate, line: str, message: str
) -> None:
    (tmp_path / "o.csv").write_text(f"file,decision,class\n{line}\n")
    with pytest.raises(ManifestError, match=message):
        curate_folder(class_tree(tmp_path / "raw"), TREE, f"overrides={tmp_path / 'o.csv'}")


def test_description_and_images_agree_with_the_manifest(tmp_path: Path, curate_folder: Curate) -> None:
    curated = curate_folder(class_tree(tmp_path / "raw"), TREE)
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    read = Manifest.read(tmp_path / "out")
    assert about["fingerprint"] == read.fingerprint == curated.kept.fingerprint
    assert about["splits"] == {name: read.column("split").count(name) for name in ("train", "val", "test")}
    assert about["configuration"]["resize"]["size"] == 64
    for file, digest, size in zip(*map(read.column, ("file", "sha256", "bytes")), strict=True):
        data = (tmp_path / "out" / file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        assert len(data) == size
        assert decode(data).shape == (64, 64, 3)


def test_attribution_lists_all_credits(tmp_path: Path, curate_folder: Curate) -> None:
    rows = [
        {**row, "licence": ("CC0-1.0", "CC BY 4.0")[i % 2], "credit": f"Gift of *Donor* {i % 3}",
         "title": f"Vase {i}", "permalink": f"https://museum.example/{i}"}
        for i, row in enumerate(table_rows())
    ]  # fmt: skip
    root = write_table(tmp_path / "raw", rows)
    for index in range(24):
        write(root / "images" / f"{index}.jpg", photograph(index))
    curate_folder(root, *COLUMNS)
    text = (tmp_path / "out" / "ATTRIBUTION.md").read_text()
    for index in range(3):
        assert f"Gift of \\*Donor\\* {index}" in text
    for index in range(24):  # works whose licence requires it are named one by one
        assert (
            (f"Vase {index}. " in text) == (f"<https://museum.example/{index}>\n" in text) == bool(index % 2)
        )
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\npretty_name:")
    assert "CC BY 4.0 (12)" in card


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.figures: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "figure":
            self.figures.append(found["data-file"] or "")
        for key in ("src", "href"):
            if (found.get(key) or "#").split(":")[0] not in ("#", "data") and not (
                found[key] or ""
            ).startswith("#"):
                self.outside.append(found[key] or "")


def test_the_report_shows_every_dropped_photograph_and_needs_no_network(
    tmp_path: Path, curate_folder: Curate
) -> None:
    root = tree_with_duplicates(tmp_path / "raw")
    write(root / "islam" / "<script>alert(1)<script>.jpg", photograph(90, 20, 20))
    curated = curate_folder(root, TREE)
    text = (tmp_path / "out" / "report.html").read_text()
    page = _Page()
    page.feed(text)
    assert set(reasons(curated)) <= set(page.figures)
    assert page.outside == []
    assert "<script>alert" not in text


def test_the_counts_and_histograms_of_the_page_are_figures_as_png_and_pdf(
    tmp_path: Path, curate_folder: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    curated = curate_folder(class_tree(tmp_path / "raw"), TREE)
    drawn: list[Histogram] = []
    monkeypatch.setattr(html_report, "histograms_figure", lambda parts, path: drawn.extend(parts))
    html_report.write_figures(curated, tmp_path)
    assert [path.name for path in sorted(tmp_path.glob("counts.*"))] == ["counts.pdf", "counts.png"]
    assert [one.title for one in drawn] == ["Shorter side of the raw photograph", "Brightness", "Contrast"]
    assert [sum(one.counts) for one in drawn] == [len(curated.kept)] * 3
    page = (tmp_path / "out" / "report.html").read_text()
    for one in drawn:
        assert all(f"<title>{bar.text}</title>" in page for bar in one.bars)


def test_rotated_photographs_are_measured_upright(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise
    upright = photograph(200, 200, 100)
    turned = cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)
    (root / "islam" / "turned.jpg").write_bytes(jpeg(turned, 98, exif=exif))
    write(root / "islam" / "upright.jpg", upright, 98)
    curated = curate_folder(root, TREE)
    rows = {row["raw_file"]: row for row in curated.table.to_pylist()}
    assert (rows["islam/turned.jpg"]["raw_width"], rows["islam/turned.jpg"]["raw_height"]) == (200, 100)
    assert rows["islam/turned.jpg"]["group_id"] == rows["islam/upright.jpg"]["group_id"]
