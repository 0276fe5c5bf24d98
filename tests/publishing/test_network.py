"""A network on the hub: published, loaded by timm and by this package, with the same predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml  # type: ignore[import-untyped]
from huggingface_hub import ModelCard, ModelCardData, constants

import heritage as package
from heritage.config.register import register
from heritage.core.hub import is_hub_address, parse_address
from heritage.errors import CheckpointError, ConfigError, WeightsError
from heritage.inference.checkpoint import load_checkpoint
from heritage.models.hub import pinned_weights, weights_file
from tests.conftest import TINY, Command, patch
from tests.publishing.conftest import NETWORK
from tests.publishing.hub_double import HubDouble, Repository

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "models/museum/vases"
ADDRESS = "hf-hub:museum/vases"


def images(size: int = 32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, size, size, 3), dtype=np.uint8))


def test_timm_and_this_package_load_it_with_the_same_predictions(
    heritage: Command, published: HubDouble, calibrated: Path, tmp_path: Path
) -> None:
    files = published.files(NAME)
    assert set(files) >= {
        "README.md", "config.json", "model.safetensors", "heritage.json", "heritage_run.json", "metrics.json",
        "calibration.json", "audits.json", "data.json", "history.csv", "confusion.png",
        "confusion.pdf",
    }  # fmt: skip
    assert not [name for name in files if name.endswith((".ckpt", ".pt", ".bin", ".pkl", ".py"))]
    text = b"".join(content for name, content in files.items() if name.endswith((".json", ".md", ".csv")))
    assert str(tmp_path).encode() not in text
    assert str(calibrated.parent).encode() not in text
    trained = load_checkpoint(calibrated)
    with torch.inference_mode():
        expected = trained.model(images())
        net = timm.create_model(ADDRESS, pretrained=True).eval()
        config = timm.data.resolve_model_data_config(net)
        mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        torch.testing.assert_close(
            net((images().permute(0, 3, 1, 2) / 255 - mean) / std), expected, atol=1e-5, rtol=0
        )
        ours = load_checkpoint(ADDRESS)
        torch.testing.assert_close(ours.model(images()), expected, atol=1e-6, rtol=0)
    assert ours.classes == trained.classes
    assert ours.fingerprint == trained.fingerprint
    assert not (ours.file.parent / "best.ckpt").exists()
    predictor, mine = package.load(ADDRESS), package.load(calibrated)
    photograph = patch(2, 7, size=60)
    a, b = predictor.predict(photograph), mine.predict(photograph)
    assert a.label == b.label
    assert a.confidence == pytest.approx(b.confidence, abs=1e-6)
    (tmp_path / "p").mkdir()
    from heritage.core.image_io import encode_jpeg

    (tmp_path / "p" / "x.jpg").write_bytes(encode_jpeg(photograph))
    done = heritage("predict", f"ckpt={ADDRESS}", f"input={tmp_path / 'p'}", "out=a.csv", "num_workers=0")
    assert done.code == 0, done.err
    local = tmp_path / "downloaded"
    for name, content in files.items():
        local.mkdir(exist_ok=True)
        (local / name).write_bytes(content)
    done = heritage("predict", f"ckpt={local}", f"input={tmp_path / 'p'}", "out=b.csv", "num_workers=0")
    assert done.code == 0, done.err
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_the_card_has_the_measured_figures_with_intervals(published: HubDouble, calibrated: Path) -> None:
    text = published.files(NAME)["README.md"].decode()
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "timm"
    assert head["datasets"] == ["museum/photographs"]
    assert "base_model" not in head, "it was trained from scratch"
    metrics = json.loads((calibrated / "metrics.json").read_text())
    card = ModelCard(text)
    assert isinstance(card.data, ModelCardData)
    results = {result.metric_type: result for result in card.data.eval_results or ()}
    assert results["accuracy"].metric_value == pytest.approx(metrics["accuracy"], abs=1e-4)
    assert results["f1"].metric_value == pytest.approx(metrics["macro_avg"]["f1"], abs=1e-4)
    entry = head["model-index"][0]["results"][0]["metrics"][0]
    low, high = entry["args"]["interval"]
    assert low <= entry["value"] <= high
    assert "# Vases: a network" in text
    assert 'timm.create_model("hf-hub:museum/vases", pretrained=True)' in text
    assert "local-dir:." not in text
    assert "![Confusion matrix of the test images](confusion.png)" in text
    assert "| F1 of " in text


def test_the_same_network_makes_no_second_commit(
    heritage: Command, published: HubDouble, audited: Path
) -> None:
    done = heritage("publish", f"ckpt={audited}", "repo=museum/vases", *NETWORK)
    assert done.code == 0, done.err
    assert "unchanged: " in done.out
    assert published.changing_requests() == []
    other = heritage("publish", f"ckpt={audited}", "repo=museum/vases", "licence=CC0-1.0")
    assert other.code == 2
    assert "the repository has other content (" in other.err
    assert "overwrite=true" in other.err
    words = ("repo=museum/vases", "licence=CC0-1.0")
    assert heritage("publish", f"ckpt={audited}", *words, "overwrite=true").code == 0
    assert len(published.commits(NAME)) == 3
    done = heritage("publish", f"ckpt={audited}", *words, "revision=v1", "title=Other", "overwrite=true")
    assert done.code == 0, done.err
    assert len(published.commits(NAME)) == 3
    assert b"# Other" in published.files(NAME, "v1")["README.md"]


@pytest.mark.slow
def test_training_starts_from_it_and_records_the_commit(
    heritage: Command, published: HubDouble, tree: Path, tmp_path: Path
) -> None:
    words = ("train", *TINY, f"data.root={tree}", f"hydra.run.dir={tmp_path / 'b'}", "optimizer.lr=1e-30",
             "optimizer.weight_decay=0", "data.image_size=32")  # fmt: skip
    done = heritage(*words, f"model.weights={ADDRESS}")
    assert done.code == 0, done.err
    commit = published.commits(NAME)[-1]
    config = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())
    assert config["model"]["weights"] == f"{ADDRESS}@{commit}"
    again = load_checkpoint(tmp_path / "b").model.net.state_dict()
    for name, value in load_checkpoint(ADDRESS).model.net.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(again[name], value)
    # a later commit changes nothing for a run that resumes
    files = dict(published.files(NAME))
    published.repositories[NAME].branches["main"].append(("f" * 40, files))
    done = heritage(*words, f"model.weights={ADDRESS}", "resume=true")
    assert done.code == 0, done.err
    assert pinned_weights(ADDRESS) == f"{ADDRESS}@{'f' * 40}"


@pytest.mark.slow
def test_it_is_evaluated_on_the_data_set_that_it_was_trained_on(
    heritage: Command, published: HubDouble, calibrated: Path, tree: Path, tmp_path: Path
) -> None:
    assert published.files(NAME)
    before = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    words = ("report.resamples=10", f"hydra.run.dir={tmp_path / 'evaluated'}")
    done = heritage("evaluate", f"ckpt={ADDRESS}", f"data.root={tree}", "data.num_workers=0", *words)
    assert done.code == 0, done.err
    measured = json.loads((tmp_path / "evaluated" / "metrics.json").read_text())
    recorded = json.loads((calibrated / "metrics.json").read_text())
    assert measured["accuracy"] == pytest.approx(recorded["accuracy"])
    assert "calibration.json was not written" in (tmp_path / "evaluated" / "report.md").read_text()
    after = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before  # nothing is written into the cache but downloads


def test_a_pinned_network_in_the_cache_needs_no_hub(
    published: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = published.commits(NAME)[-1]
    first = load_checkpoint(ADDRESS).file
    published.requests.clear()
    assert load_checkpoint(f"{ADDRESS}@{commit}").file == first
    assert published.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_checkpoint(ADDRESS).file == first
    assert weights_file(ADDRESS) == first


def test_without_network_the_ways_out_are_named(
    heritage: Command, hub: HubDouble, monkeypatch: pytest.MonkeyPatch, tree: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for words in (("predict", f"ckpt={ADDRESS}", f"input={tree}"),
                  ("train", *TINY, f"data.root={tree}", f"model.weights={ADDRESS}")):  # fmt: skip
        done = heritage(*words)
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
        assert "HF_HUB_OFFLINE is set" in done.err
        assert f"heritage weights model.weights={ADDRESS}" in done.err
        assert "or give a local" in done.err
    assert hub.requests == []


def test_repositories_that_do_not_exist_or_are_not_ours_are_named(hub: HubDouble) -> None:
    with pytest.raises(CheckpointError, match=r"ckpt=hf-hub:museum/vases: the hub has no such repository"):
        load_checkpoint(ADDRESS)
    with pytest.raises(WeightsError, match=r"model\.weights=hf-hub:museum/vases: the hub has no such"):
        weights_file(ADDRESS)
    hub.repositories[NAME] = Repository(False, {"main": [("a" * 40, {"model.safetensors": b"x" * 100})]})
    with pytest.raises(CheckpointError, match=r"the repository has no heritage_run\.json"):
        load_checkpoint(ADDRESS)
    with pytest.raises(WeightsError, match="the hub has no such repository, file or revision"):
        weights_file(f"{ADDRESS}@v9")


@pytest.mark.parametrize(
    "text",
    ["hf-hub:", "hf-hub:vases", "hf-hub:a/b/c", "hf-hub:../b", "hf-hub:a/..", "hf-hub:a/b@../c",
     "hf-hub:a/b@x y", "hf-hub:a/b?x=1", "hf-hub:/a/b", "hf-hub:a--b/c", "hf-hub:a/b.git"],
)  # fmt: skip
def test_addresses_are_checked(text: str) -> None:
    assert is_hub_address(text)
    with pytest.raises(ConfigError, match="write hf-hub:owner/name"):
        parse_address(text, "ckpt")


def test_odd_published_files_end_in_one_line(published: HubDouble, tmp_path: Path) -> None:
    files = published.files(NAME)
    record = json.loads(files["heritage_run.json"])
    node = record["config"]["model"]
    odd: dict[str, object] = {
        "classes": {**record, "classes": [*record["classes"], "more"]},
        "target": {**record, "config": {**record["config"], "model": {**node, "_target_": "os.system"}}},
        "none": [],
        "epoch": {**record, "epoch": -1},
        "config": {**record, "config": {}},
        "computed": {**record, "computed": ["conv1.0.weight"]},
    }
    for name, content in odd.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(files["model.safetensors"])
        (folder / "heritage_run.json").write_text(json.dumps(content))
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(folder)
        assert "\n" not in str(caught.value)
    folder = tmp_path / "cut"
    folder.mkdir()
    (folder / "heritage_run.json").write_text(json.dumps(record))
    (folder / "model.safetensors").write_bytes(files["model.safetensors"][:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)
    folder = tmp_path / "nan"
    folder.mkdir()
    (folder / "heritage_run.json").write_text(json.dumps(record))
    from safetensors.torch import load, save_file

    state = load(files["model.safetensors"])
    state[next(name for name, value in state.items() if value.is_floating_point())].fill_(float("nan"))
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="NaN"):
        load_checkpoint(folder)


@pytest.mark.slow
def test_weights_of_our_transformer_load_by_timm_and_by_us(
    heritage: Command, hub: HubDouble, tree: Path, tmp_path: Path
) -> None:
    register()
    run = tmp_path / "vit"
    small = (
        "model=vit",
        "model.width=32",
        "model.depth=2",
        "model.heads=2",
        "model.patch_size=8",
        "model.stem=linear",
    )
    done = heritage("train", *TINY, *small, f"data.root={tree}", f"hydra.run.dir={run}")
    assert done.code == 0, done.err
    assert heritage("publish", f"ckpt={run}", "repo=museum/vases", "licence=Apache-2.0").code == 0
    with torch.inference_mode():
        expected = load_checkpoint(run).model(images())
        torch.testing.assert_close(load_checkpoint(ADDRESS).model(images()), expected, atol=1e-6, rtol=0)
        net = timm.create_model(ADDRESS, pretrained=True).eval()
        config = timm.data.resolve_model_data_config(net)
        mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        torch.testing.assert_close(
            net((images().permute(0, 3, 1, 2) / 255 - mean) / std), expected, atol=1e-4, rtol=0
        )
    again = ("train", *TINY, *small, f"data.root={tree}", f"hydra.run.dir={tmp_path / 'again'}")
    done = heritage(*again, f"model.weights={ADDRESS}")
    assert done.code == 0, done.err
