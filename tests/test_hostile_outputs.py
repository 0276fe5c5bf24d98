"""Text of others in copied files, verdicts, publications and the page of a server."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml  # type: ignore[import-untyped]

from heritage.core.attribution import ATTRIBUTION_FILE
from heritage.core.croissant import croissant
from heritage.core.csv_files import read_records
from heritage.core.image_io import encode_jpeg
from heritage.core.labels import clean_label
from heritage.core.manifest import Manifest
from heritage.core.split_tables import write_split_tables
from heritage.core.verdicts import read_verdicts
from heritage.errors import PublishError
from heritage.evaluation.assessment import Assessment, EvaluationOptions
from heritage.evaluation.mistakes import MISTAKES_FILE, write_mistakes
from heritage.publishing.archive import write_archive
from heritage.publishing.publication import Publication, PublishedFile
from heritage.server.schemas import ClassProbability, VerdictRequest
from heritage.server.uploads import display_name
from heritage.server.verdicts import JudgedPrediction, VerdictFile, _Image
from tests.conftest import patch
from tests.test_escaping import (
    HOSTILE,
    assert_csv_is_inert,
    assert_markdown_is_inert,
    hidden,
)

NAMES = tuple(text.encode("utf-8", "replace").decode() for text in HOSTILE)
OPTIONS = EvaluationOptions(
    resamples=2, target_precision=0.9, slices=[], images_per_pair=2, max_images=50, label_errors=10,
    seed=0, out_of_fold=None,
)  # fmt: skip


@pytest.fixture
def photographs(tmp_path: Path) -> Manifest:
    """Return a data set whose classes and records are hostile; its files have plain names."""
    classes = [f"{name}{number}" for number, name in enumerate(NAMES)]
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    for number in range(len(classes)):
        (root / f"images/{number}.jpg").write_bytes(encode_jpeg(patch(0, number, size=16)))
    columns = {
        "file": [f"images/{number}.jpg" for number in range(len(classes))],
        "image_id": classes,
        "class": classes,
        "split": ["train", "val", "test"] * (len(classes) // 3) + ["test"] * (len(classes) % 3),
        **dict.fromkeys(("title", "credit", "licence", "museum"), classes),
        "permalink": [f"javascript:alert({name!r})" for name in classes],
        "source_url": [f"data:text/html,{number}" for number in range(len(classes))],
    }
    return Manifest.build(columns, root, classes)


def test_misclassified_images_in_folders_of_hostile_classes(photographs: Manifest, tmp_path: Path) -> None:
    count = len(photographs)
    logits = np.roll(np.eye(count, dtype=np.float32), 1, axis=1)
    assessment = Assessment("x", photographs, np.arange(count), logits, None, OPTIONS, {}, [])
    out = tmp_path / "out"
    out.mkdir()
    done = write_mistakes(assessment, out, "copy")
    assert len(done.paths) == done.written == count
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) == count + 2, "a file is outside, or two have the same name"
    for path in out.rglob("*"):
        assert hidden(path.name) == set()
        assert not set(path.name) & set('<>:"/\\|?*')
    text = (done.folder / MISTAKES_FILE).read_bytes().decode()
    assert len(assert_csv_is_inert(text)) == count + 1
    rows = list(read_records(io.StringIO(text, newline="")))
    assert [row["true"] for row in rows] == list(photographs.classes)
    assert {row["link"] for row in rows} == {""}
    assert_markdown_is_inert((done.folder / ATTRIBUTION_FILE).read_text(encoding="utf-8"))


def test_verdicts_on_hostile_names_read_back(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    file = VerdictFile(path, "0" * 12)
    classes = [clean_label(f"{name}{number}") or "" for number, name in enumerate(NAMES)]
    for number, name in enumerate(NAMES):
        image = _Image(f"{number:064x}", 9, display_name(name))
        first = ClassProbability(label=classes[number], probability=0.5)
        judged = JudgedPrediction((image,), first, unsure=False)
        request = VerdictRequest.model_construct(id="x", verdict="right", label=None, reviewer=name[:50])
        assert file.append(judged, request) == 1
    rows = assert_csv_is_inert(path.read_bytes().decode())
    assert len(rows) == len(NAMES) + 1
    for row in rows[1:]:
        assert hidden(row[3] + row[9]) == set()
    found = read_verdicts(path, classes)
    assert [one.label for one in found] == classes
    assert [one.sha256 for one in found] == [f"{number:064x}" for number in range(len(NAMES))]


def test_tables_and_croissant_of_a_publication(photographs: Manifest, tmp_path: Path) -> None:
    write_split_tables(photographs, tmp_path)
    assert set(pq.read_table(tmp_path / "train.parquet")["link"].to_pylist()) == {None}
    record = croissant(photographs, tmp_path, name=HOSTILE[13], url="javascript:alert(1)")
    assert "url" not in record
    text = json.dumps(record, ensure_ascii=False)
    assert hidden(text) == set()
    assert json.loads(text) == record


def publication(source: Path, name: str, title: str = "x") -> Publication:
    return Publication("dataset", title, title, None, (PublishedFile(name, source),), {title: 1}, (title,))


@pytest.mark.parametrize("title", NAMES[:-1])
def test_an_archive_with_a_hostile_title(tmp_path: Path, title: str) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(b"x")
    write_archive(publication(source, "images/a.jpg", title), tmp_path / "a.zip", [title], overwrite=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if "images" not in name}
    zenodo = json.loads(texts[".zenodo.json"])
    assert hidden(zenodo["title"]) == set()
    for shown_as_html in (zenodo["description"], zenodo["notes"]):
        assert "<script" not in shown_as_html
        assert "<img" not in shown_as_html
    citation = yaml.safe_load(texts["CITATION.cff"])
    assert list(citation)[:3] == ["cff-version", "message", "type"]
    assert hidden(citation["title"]) == set()
    assert len(texts["SHA256SUMS"].splitlines()) == 4


@pytest.mark.parametrize("name", [
    "images/a\n0000  b.jpg", "images/\u202egpj.jpg", "../a.jpg", "/etc/a.jpg", "images/../../a.jpg",
    "images\\..\\a.jpg", "C:/a.jpg", "images//a.jpg", "images/\x1b[2J.jpg",
])  # fmt: skip
def test_names_that_lead_elsewhere_are_not_published(tmp_path: Path, name: str) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(b"x")
    with pytest.raises(PublishError, match="not a name that every system takes") as caught:
        publication(source, name)
    assert hidden(str(caught.value)) == set()
