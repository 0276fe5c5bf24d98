"""A data set on the hub: what goes up, what is refused, and who can load it."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml  # type: ignore[import-untyped]

from heritage.core.licences import open_licence, refusal
from heritage.core.manifest import Manifest
from tests.conftest import Command, mlcroissant
from tests.publishing.conftest import write_dataset
from tests.publishing.hub_double import TOKEN, HubDouble

# the hub's client uploads in a way that its own HTTP client deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "datasets/museum/vases"
WORDS = ("publish", "repo=museum/vases")


def folder_of(files: dict[str, bytes], root: Path) -> Path:
    """Write the files of a repository into a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_a_data_set_is_published_once_and_without_paths_of_the_machine(
    heritage: Command, hub: HubDouble, dataset: Path
) -> None:
    done = heritage(*WORDS, f"data={dataset}")
    assert done.code == 0, done.err
    assert "licences of the photographs: CC0-1.0 (9), CC BY 4.0 (5), CC0 1.0 Universal (4)" in done.out
    assert hub.repositories[REPO].private
    assert len(hub.commits(REPO)) == 2
    files = hub.files(REPO)
    assert set(files) - {name for name in files if name.startswith("images/")} == {
        ".gitattributes", "README.md", "ATTRIBUTION.md", "croissant.json", "dataset.json", "manifest.parquet",
        "train.parquet", "validation.parquet", "test.parquet",
    }  # fmt: skip
    assert len([name for name in files if name.startswith("images/")]) == 18
    everything = b"".join(
        content for name, content in files.items() if not name.endswith((".jpg", ".parquet"))
    )
    assert b"/home/ada" not in everything
    assert (
        "private_path"
        not in pq.read_schema(folder_of(files, dataset.parent / "copy") / "manifest.parquet").names
    )
    assert TOKEN.encode() not in b"".join(files.values())
    assert TOKEN not in done.out + done.err
    assert hub.tokens == {f"Bearer {TOKEN}", None}  # None: large files go to signed addresses
    card = files["README.md"].decode()
    assert yaml.safe_load(card.split("---\n")[1])["license"] == ["cc-by-4.0", "cc0-1.0"]
    assert "report.html" not in card
    assert "overrides.csv" not in card
    assert "<script>" not in card + files["ATTRIBUTION.md"].decode()
    assert "](javascript" not in files["ATTRIBUTION.md"].decode().replace("\\]\\(", "").replace("\\](", "")
    hub.requests.clear()
    again = heritage(*WORDS, f"data={dataset}")
    assert again.code == 0, again.err
    assert "unchanged: " in again.out
    assert hub.changing_requests() == []
    assert len(hub.commits(REPO)) == 2


def test_the_published_folder_trains_and_loads_with_datasets_and_mlcroissant(
    heritage: Command, hub: HubDouble, dataset: Path, tmp_path: Path
) -> None:
    datasets = importlib.import_module("datasets")
    assert heritage(*WORDS, f"data={dataset}").code == 0
    root = folder_of(hub.files(REPO), tmp_path / "downloaded")
    manifest = Manifest.read(root)
    assert manifest.fingerprint == Manifest.read(dataset).fingerprint
    loaded = datasets.load_dataset(str(root), cache_dir=str(tmp_path / "datasets"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 12, "validation": 3, "test": 3}
    assert loaded["train"].features["label"].names == list(manifest.classes)
    for name, split in (("train", "train"), ("validation", "val"), ("test", "test")):
        expected = [row for row in manifest.table.to_pylist() if row["split"] == split]
        assert [row["image_id"] for row in loaded[name]] == [row["image_id"] for row in expected]
        for row, wanted in zip(loaded[name], expected, strict=True):
            assert row["image"].size == (32, 32)
            assert manifest.classes[row["label"]] == wanted["class"]
            kept = {key: row[key] for key in ("licence", "credit", "title", "group", "museum")}
            assert kept == {
                **{key: wanted[key] for key in ("licence", "credit", "title", "museum")},
                "group": wanted["group_id"],
            }
            assert row["link"] == (
                None if wanted["permalink"].startswith("javascript") else wanted["permalink"]
            )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_croissant_metadata_are_valid_and_its_records_are_the_images(
    heritage: Command, hub: HubDouble, dataset: Path, tmp_path: Path
) -> None:
    croissant = mlcroissant()
    assert heritage(*WORDS, f"data={dataset}").code == 0
    root = folder_of(hub.files(REPO), tmp_path / "downloaded")
    described = croissant.Dataset(str(root / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    content = json.loads((root / "croissant.json").read_text())
    assert content["license"] == [
        "https://creativecommons.org/licenses/by/4.0/", "https://creativecommons.org/publicdomain/zero/1.0/",
    ]  # fmt: skip
    records = list(described.records("validation"))
    rows = pq.read_table(root / "validation.parquet").to_pylist()
    assert [record["validation/label"] for record in records] == [row["label"] for row in rows]
    assert [record["validation/image_id"].decode() for record in records] == [row["image_id"] for row in rows]
    assert all(record["validation/image"].size == (32, 32) for record in records)


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("CC0", "CC0-1.0"), ("cc0 1.0 universal", "CC0-1.0"), ("CC BY 4.0", "CC-BY-4.0"),
        ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
        ("https://creativecommons.org/licenses/by/2.0/", "CC-BY-2.0"), ("Public Domain", "CC-PDM-1.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/deed.en", "CC0-1.0"),
        ("CC BY-NC 4.0", None), ("CC BY-ND 4.0", None), ("CC-BY-NC-SA-4.0", None), ("", None), (None, None),
        ("In Copyright", None), ("© Museum", None), ("Musée du Louvre, terms of use (no open licence)", None),
        ("CC BY 4.0 or all rights reserved", None), ("CC0 ask first", None), ("CC BY 9.0", None),
    ],
)  # fmt: skip
def test_the_table_of_licences_is_exact(text: str | None, identifier: str | None) -> None:
    licence = open_licence(text)
    assert (None if licence is None else licence.identifier) == identifier


def test_the_reason_of_a_refusal_is_named() -> None:
    assert refusal("CC BY-NC 4.0") == "permits non-commercial use only"
    assert refusal("CC BY-ND 4.0") == "permits no derivatives, such as resized copies"
    assert refusal(None) == "no licence is recorded"
    assert refusal("All rights reserved") == "in copyright"


def test_photographs_that_may_not_be_published_stop_it_with_their_row(
    heritage: Command, hub: HubDouble, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "mixed", ("CC0-1.0", "CC BY-NC 4.0", None))
    done = heritage(*WORDS, f"data={root}")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert (
        "manifest.parquet: row 2 (images/2_MET_1.jpg): permits non-commercial use only (CC BY-NC 4.0)"
        in done.err
    )
    assert "12 photographs in all" in done.err
    assert "refused=leave_out" in done.err
    assert hub.requests == []
    left = heritage(*WORDS, f"data={root}", "refused=leave_out")
    assert left.code == 0, left.err
    assert "Note: 12 photographs left out" in left.out
    published = Manifest.read(folder_of(hub.files(REPO), tmp_path / "copy"))
    assert set(published.column("licence")) == {"CC0-1.0"}
    assert len([name for name in hub.files(REPO) if name.startswith("images/")]) == len(published) == 6


def test_the_manifest_alone_has_no_image(heritage: Command, hub: HubDouble, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "mixed", ("CC0-1.0", "All rights reserved"))
    assert heritage(*WORDS, f"data={root}", "refused=manifest").code == 0
    files = hub.files(REPO)
    assert not [name for name in files if name.startswith("images/") or name == "train.parquet"]
    assert "The images are not part of it" in files["README.md"].decode()


def test_own_photographs_get_the_owners_licence(heritage: Command, hub: HubDouble, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "own", (None,))
    refused = heritage(*WORDS, f"data={root}", "licence=CC-BY-NC-4.0")
    assert refused.code == 2
    assert "licence=CC-BY-NC-4.0: not a licence that permits publication" in refused.err
    assert heritage(*WORDS, f"data={root}", "licence=CC-BY-4.0").code == 0
    assert set(Manifest.read(folder_of(hub.files(REPO), tmp_path / "copy")).column("licence")) == {
        "CC-BY-4.0"
    }
    assert "CC-BY-4.0" in hub.files(REPO)["ATTRIBUTION.md"].decode()


def test_a_plan_lists_everything_and_sends_nothing(heritage: Command, hub: HubDouble, dataset: Path) -> None:
    done = heritage(*WORDS, f"data={dataset}", "plan=true", "private=false")
    assert done.code == 0, done.err
    assert "  images/  18 files, " in done.out
    assert "repository: museum/vases (public)" in done.out
    assert "nothing was sent" in done.out
    assert hub.requests == []


def test_a_folder_that_is_no_curated_data_set_is_refused(
    heritage: Command, hub: HubDouble, tree: Path, dataset: Path
) -> None:
    done = heritage(*WORDS, f"data={tree}")
    assert done.code == 2
    assert "heritage curate" in done.err
    (dataset / "dataset.json").write_text(json.dumps({"classes": ["egyptian"], "name": ["x"]}))
    for text in ('{"classes": ["egyptian", "no: yes", "<b>#x</b>"], "name": ["x"]}', "[]", "{"):
        (dataset / "dataset.json").write_text(text)
        done = heritage(*WORDS, f"data={dataset}")
        assert done.code == 2, text
        assert len(done.err.splitlines()) == 1


def test_missing_images_and_links_that_lead_out_are_refused(
    heritage: Command, hub: HubDouble, dataset: Path, tmp_path: Path
) -> None:
    image = dataset / "images" / "1_MET_0.jpg"
    image.unlink()
    assert (
        "1 image of the manifest missing, such as images/1_MET_0.jpg"
        in heritage(*WORDS, f"data={dataset}").err
    )
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    image.symlink_to(tmp_path / "secret.jpg")
    done = heritage(*WORDS, f"data={dataset}")
    assert done.code == 2
    assert "outside the folder" in done.err
    assert hub.requests == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_many_images_are_published_in_folders_that_the_hub_takes(
    heritage: Command, hub: HubDouble, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heritage.publishing.photographs._PER_FOLDER", 8)
    assert heritage(*WORDS, f"data={dataset}").code == 0
    files = hub.files(REPO)
    assert {name.split("/")[1] for name in files if name.startswith("images/")} == {"0000", "0001", "0002"}
    root = folder_of(files, tmp_path / "downloaded")
    manifest = Manifest.read(root)
    assert manifest.fingerprint == Manifest.read(dataset).fingerprint
    assert all((root / file).is_file() for file in manifest.column("file"))
    datasets, croissant = importlib.import_module("datasets"), mlcroissant()
    loaded = datasets.load_dataset(str(root), cache_dir=str(tmp_path / "datasets"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 12, "validation": 3, "test": 3}
    assert loaded["train"][0]["image"].size == (32, 32)
    records = list(croissant.Dataset(str(root / "croissant.json")).records("train"))
    assert all(record["train/image"].size == (32, 32) for record in records)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_the_datasets_library_loads_it_from_the_hub(
    heritage: Command, hub: HubDouble, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = importlib.import_module("datasets")
    assert heritage(*WORDS, f"data={dataset}").code == 0
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", False)
    loaded = datasets.load_dataset(REPO.partition("/")[2], cache_dir=str(tmp_path / "datasets"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 12, "validation": 3, "test": 3}
    assert loaded["test"].features["label"].names == list(Manifest.read(dataset).classes)
    assert loaded["test"][0]["image"].size == (32, 32)


def test_the_card_states_how_to_load_it_and_what_its_columns_hold(
    heritage: Command, hub: HubDouble, dataset: Path
) -> None:
    assert heritage(*WORDS, f"data={dataset}").code == 0
    card = hub.files(REPO)["README.md"].decode()
    assert f'datasets.load_dataset("{REPO.partition("/")[2]}")' in card
    assert "| licence | the licence of the photograph |" in card
    assert "imbalanced" not in card  # its classes have the same size


def test_a_photograph_whose_licence_forbids_it_is_not_published_under_another_row(
    heritage: Command, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "vases", licences=("CC0-1.0", "© The artist", "CC0-1.0"))
    words = ("publish", f"data={root}", "archive=a.zip", "creators=[Ada]", "refused=leave_out")
    assert heritage(*words, "plan=true").code == 0
    first, second = root / "images" / "1_MET_0.jpg", root / "images" / "2_MET_1.jpg"
    original = first.read_bytes()
    first.write_bytes(second.read_bytes())
    done = heritage(*words)
    assert done.code == 2
    assert "images/1_MET_0.jpg is the same photograph as images/2_MET_1.jpg, which may not be" in done.err
    assert "in copyright: © The artist" in done.err
    first.write_bytes(original)
    table = pq.read_table(root / "manifest.parquet")
    names = table["file"].to_pylist()
    names[0] = "images/./2_MET_1.jpg"  # one file, in two rows
    table = table.set_column(table.column_names.index("file"), "file", [names])
    pq.write_table(table, root / "manifest.parquet")
    done = heritage(*words)
    assert done.code == 2
    assert "is the same photograph as images/2_MET_1.jpg" in done.err


def test_images_that_were_changed_after_curation_are_not_published(heritage: Command, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "vases")
    table = pq.read_table(root / "manifest.parquet")
    sums = [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in table["file"].to_pylist()]
    pq.write_table(table.append_column("sha256", [sums]), root / "manifest.parquet")
    words = ("publish", f"data={root}", "archive=a.zip", "creators=[Ada]", "plan=true")
    assert heritage(*words).code == 0
    (root / "images" / "1_MET_0.jpg").write_text("the diary")
    done = heritage(*words)
    assert done.code == 2
    assert "1 image changed since the data set was curated, such as images/1_MET_0.jpg" in done.err
