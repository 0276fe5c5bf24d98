"""The index of similar objects is complete: thumbnails, file names, translations, without the data set."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from heritage.core.image_io import decode, encode_jpeg
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.inference.test_set import run_manifest
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.predictor import Predictor
from heritage.server import server
from heritage.server.later_index import LaterIndex
from heritage.server.limits import Limits
from heritage.server.server import ServeOptions, build_app
from heritage.server.similar_index import IndexStopped, _texts, build_index, open_index
from tests.conftest import patch
from tests.server.running import LIMITS, serving


def test_similar_objects_outlive_the_data_set(
    run_folder: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "predict?similar=true"
    known = (tree / "islam" / "003.jpg").read_bytes()
    with serving(run_folder, tmp_path) as address:
        before = httpx.post(f"{address}/{query}", files={"picture": known}).json()["pictures"][0]["similar"]
        assert len(before) == 6
        about = httpx.get(f"{address}/about").json()
        assert -1 <= about["typical_similarity"] < 1
        assert about["translations"]["de"]["islam"] == "Islamische Welt"

    def gone(_: TrainedClassifier) -> None:
        return None

    monkeypatch.setattr(server, "try_run_manifest", gone)
    with serving(run_folder, tmp_path) as address:
        after = httpx.post(f"{address}/{query}", files={"picture": known}).json()["pictures"][0]["similar"]
        assert after == before
        assert after[0]["file"] == "003.jpg"
        assert after[0]["title"] is None
        shown = decode(httpx.get(f"{address}/{after[0]['thumbnail']}").content)
        assert np.abs(shown.astype(int) - decode(known)).mean() < 12
        assert httpx.get(f"{address}/objects/99999.jpg").status_code == 404
        examples = httpx.get(f"{address}/about").json()
        assert len(examples["examples"]) == 6
        assert examples["examples_drawn"] is False
    (file,) = tmp_path.glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-100])
    assert open_index(file) is None, "a damaged index is computed again"


@pytest.mark.parametrize(
    ("columns", "file"),
    [
        ({"file": ["images/vase/1_MET_42.jpg"], "raw_file": ["shelf 3/front view.jpg"]}, "front view.jpg"),
        ({"file": ["images/vase/1_MET_42.jpg"], "raw_file": [None]}, "1_MET_42.jpg"),
        ({"file": ["vase/42.jpg"]}, "42.jpg"),
    ],
)
def test_a_similar_object_has_the_name_of_the_original_file(columns: dict[str, Any], file: str) -> None:
    manifest: Any = SimpleNamespace(table=pa.table({**columns, "class": ["vase"], "group_id": ["a"]}))
    assert _texts(manifest, 0)["file"] == file


def test_an_object_is_the_mean_of_its_photographs(run_folder: Path, tmp_path: Path) -> None:
    pictures = [("picture", (f"{k}.jpg", encode_jpeg(patch(k, 99)), "image/jpeg")) for k in range(3)]
    pictures.insert(1, ("picture", ("bad.jpg", b"no picture", "image/jpeg")))
    with serving(run_folder, tmp_path) as address:
        content = httpx.post(
            f"{address}/predict?object=true&compare=true&similar=true", files=pictures
        ).json()
        alone = httpx.post(f"{address}/predict?object=true", files=pictures[1:2]).status_code
        none = httpx.post(f"{address}/predict?object=true", files=[pictures[1], pictures[1]]).json()
    views = [one for one in content["pictures"] if one["ranking"]]
    assert [one["name"] for one in content["pictures"]] == ["0.jpg", "bad.jpg", "1.jpg", "2.jpg"]
    assert content["object"]["views"] == len(views) == 3
    assert len(content["object"]["similar"]) == 6
    assert all(one["similar"] == [] for one in content["pictures"])
    for entry in content["object"]["ranking"]:
        each = [
            one["probability"] for view in views for one in view["ranking"] if one["label"] == entry["label"]
        ]
        assert len(each) == 3
        assert entry["probability"] == pytest.approx(np.mean(each), abs=1e-5)
    similarities = content["similarities"]
    assert similarities[1] == [None] * 4
    assert similarities[0][0] == pytest.approx(1, abs=1e-3)
    assert similarities[0][2] == similarities[2][0]
    assert alone == 415
    assert none["object"] == {
        "id": none["object"]["id"], "views": 0, "prediction": None, "unsure": None, "ranking": [],
        "similar": [], "outlier_score": None, "unlike_training": None,
    }  # fmt: skip


def test_a_data_set_may_name_translations(tmp_path: Path) -> None:
    from heritage.core.class_names import class_names, read_class_names
    from heritage.errors import ManifestError

    assert read_class_names(tmp_path) == {}
    path = tmp_path / "class_names.json"
    path.write_text(json.dumps({"de": {"bowl": "Schale"}, "ar": {"bowl": "وعاء"}}), encoding="utf-8")
    names = class_names(["bowl", "islam"], read_class_names(tmp_path))
    assert names["de"] == {"bowl": "Schale", "islam": "Islamische Welt"}
    assert names["fr"] == {"islam": "Monde islamique"}
    path.write_text('{"de": ["bowl"]}', encoding="utf-8")
    with pytest.raises(ManifestError, match="no names of classes"):
        read_class_names(tmp_path)


def test_the_page_does_not_wait_for_the_first_index(run_folder: Path, tmp_path: Path) -> None:
    later = LaterIndex()
    predictor = Predictor(load_checkpoint(run_folder), DecisionRule(), device="cpu")
    options = ServeOptions(
        str(run_folder), [], "127.0.0.1", 0, None, "auto", str(tmp_path), None, 16, "cpu", None
    )
    app = build_app(predictor, options, Limits(**LIMITS), later)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/about").json()["similar"] is False
        assert not list(tmp_path.glob("*.arrow"))
        with later.running():
            until = time.monotonic() + 60
            while not client.get("/about").json()["similar"] and time.monotonic() < until:
                time.sleep(0.05)
        about = client.get("/about").json()
    assert about["similar"] is True
    assert about["typical_similarity"] is not None
    assert len(list(tmp_path.glob("*.arrow"))) == 1


def test_an_index_that_is_stopped_leaves_no_file(run_folder: Path, tmp_path: Path) -> None:
    trained = load_checkpoint(run_folder)
    predictor = Predictor(trained, DecisionRule(), device="cpu")
    with pytest.raises(IndexStopped):
        build_index(predictor, run_manifest(trained), tmp_path / "index.arrow", lambda: True)
    assert list(tmp_path.iterdir()) == []
