"""An archive for Zenodo: the same bytes for the same content, with metadata and checksums."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from heritage.core.manifest import Manifest
from tests.conftest import Command, mlcroissant
from tests.publishing.conftest import write_dataset

CREATORS = "creators=['Lovelace, Ada; 0000-0001-2345-678X','Museum of <b>Vases</b>']"


def test_a_data_set_becomes_a_deterministic_archive(heritage: Command, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "vases.zip"
    words = ("publish", f"data={dataset}", f"archive={target}", CREATORS)
    done = heritage(*words)
    assert done.code == 0, done.err
    first = target.read_bytes()
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        archive.extractall(tmp_path / "out")
        sums = archive.read("SHA256SUMS").decode().splitlines()
        zenodo = json.loads(archive.read(".zenodo.json"))
        citation = yaml.safe_load(archive.read("CITATION.cff"))
        datacite = json.loads(archive.read("datacite.json"))
    for line in sums:
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert {line.split("  ")[1] for line in sums} == set(names) - {"SHA256SUMS"}
    assert zenodo["upload_type"] == "dataset"
    assert zenodo["creators"] == [
        {"name": "Lovelace, Ada", "orcid": "0000-0001-2345-678X"}, {"name": "Museum of <b>Vases</b>"},
    ]  # fmt: skip
    assert "<b>#x</b>" not in zenodo["description"]
    assert "&lt;b&gt;#x&lt;/b&gt;" in zenodo["description"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"][0] == {
        "family-names": "Lovelace", "given-names": "Ada", "orcid": "https://orcid.org/0000-0001-2345-678X",
    }  # fmt: skip
    assert datacite["types"] == {"resourceTypeGeneral": "Dataset"}
    assert Manifest.read(tmp_path / "out").fingerprint == Manifest.read(dataset).fingerprint
    assert "unchanged: " in heritage(*words).out
    copy = write_dataset(tmp_path / "elsewhere" / "vases")
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    again = heritage("publish", f"data={copy}", f"archive={tmp_path / 'again.zip'}", CREATORS)
    assert again.code == 0, again.err
    assert (tmp_path / "again.zip").read_bytes() == first


def test_another_archive_is_replaced_only_if_wanted(heritage: Command, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "vases.zip"
    target.write_bytes(b"precious")
    words = ("publish", f"data={dataset}", f"archive={target}", CREATORS)
    done = heritage(*words)
    assert done.code == 2
    assert "already exists, with other content; overwrite=true replaces it" in done.err
    assert target.read_bytes() == b"precious"
    assert heritage(*words, "overwrite=true").code == 0
    assert zipfile.is_zipfile(target)
    done = heritage("publish", f"data={dataset}", f"archive={tmp_path / 'no' / 'x.zip'}", CREATORS)
    assert done.code == 2
    assert "its folder does not exist" in done.err
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".vases", ".x"))]


def test_a_network_in_an_archive_is_a_checkpoint_again(
    heritage: Command, calibrated: Path, tmp_path: Path
) -> None:
    from heritage.inference.checkpoint import load_checkpoint

    target = tmp_path / "network.zip"
    done = heritage("publish", f"ckpt={calibrated}", f"archive={target}", CREATORS, "licence=CC-BY-4.0")
    assert done.code == 0, done.err
    shutil.unpack_archive(target, tmp_path / "network")
    assert load_checkpoint(tmp_path / "network").classes == load_checkpoint(calibrated).classes
    zenodo = json.loads((tmp_path / "network" / ".zenodo.json").read_text())
    assert zenodo["license"] == "cc-by-4.0"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_a_date_is_in_the_citation_and_the_metadata(
    heritage: Command, dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target, out = tmp_path / "vases.zip", tmp_path / "out"
    words = ("publish", f"data={dataset}", f"archive={target}", CREATORS, "title=Vases & more")
    done = heritage(*words, "date=2026-01-31")
    assert done.code == 0, done.err
    shutil.unpack_archive(target, out)
    citation = yaml.safe_load((out / "CITATION.cff").read_text())
    assert citation["date-released"] == datetime.date(2026, 1, 31)
    assert "license" not in citation
    assert citation["authors"][1] == {"name": "Museum of <b>Vases</b>"}
    zenodo = json.loads((out / ".zenodo.json").read_text())
    assert (zenodo["publication_date"], zenodo["license"]) == ("2026-01-31", "other-open")
    datacite = json.loads((out / "datacite.json").read_text())
    assert (datacite["publisher"], datacite["publicationYear"]) == ("Zenodo", "2026")
    assert [person["nameType"] for person in datacite["creators"]] == ["Personal", "Organizational"]
    assert datacite["rightsList"][0] == {"rights": "CC0-1.0"}
    entry = (
        "@misc{lovelace2026, author={Lovelace, Ada and {Museum of <b>Vases</b>}}, title={Vases \\& more}, "
        "year={2026}}"
    )
    assert f"```bibtex\n{entry}\n```" in (out / "README.md").read_text()
    croissant = json.loads((out / "croissant.json").read_text())
    assert (croissant["citeAs"], croissant["datePublished"]) == (entry, "2026-01-31")
    with caplog.at_level(logging.WARNING):
        mlcroissant().Dataset(str(out / "croissant.json"))
    assert "warning" not in caplog.text.lower()
    done = heritage(*words, "date=2026-02-30")
    assert done.code == 2
    assert "is no date; write YYYY-MM-DD" in done.err


def test_places_that_cannot_hold_an_archive_are_refused_before_anything_is_prepared(
    heritage: Command, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.zip").mkdir()
    for target, message in (
        (tmp_path / "folder.zip", "a folder; give the name of a new file"),
        (dataset / "x.zip", "inside the folder that is published"),
    ):
        done = heritage("publish", f"data={dataset}", f"archive={target}", CREATORS, "overwrite=true")
        assert (done.code, done.out) == (2, "")
        assert message in done.err


def test_a_data_set_is_published_from_python(dataset: Path, tmp_path: Path) -> None:
    import heritage

    done = heritage.run(
        "publish", data=dataset, archive=tmp_path / "vases.zip", creators=["Lovelace, Ada"], quiet=True
    )
    assert done.value.archive == tmp_path / "vases.zip"
    assert "train.parquet" in done.value.files
