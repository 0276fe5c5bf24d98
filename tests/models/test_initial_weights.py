"""Licences of pretrained weights: named before a download, and recorded with what was trained from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from heritage.errors import WeightsError
from heritage.models import hub
from heritage.models.initial_weights import initial_weights, recorded_initial_weights, timm_weights
from heritage.models.published import open_published, published_record
from heritage.models.weight_licences import InitialWeights
from heritage.models.weights import INITIAL_WEIGHTS, OUR_RECORD
from heritage.runs.compat import first_name, upgrade_config, upgrade_override
from heritage.runs.resume import differences

DINO = "vit_small_patch16_dinov3.lvd1689m"


def model(weights: str, name: str = DINO) -> dict[str, Any]:
    return {"_target_": "heritage.models.backbone.timm_network", "name": name, "weights": weights}


@pytest.mark.parametrize(
    ("name", "title", "link", "permissive"),
    [
        (DINO, "DINOv3 License", "https://ai.meta.com/resources/models-and-libraries/dinov3-license/", False),
        ("tf_efficientnet_lite2.in1k", "Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", True),
        (
            "convnextv2_tiny.fcmae",
            "CC-BY-NC-4.0",
            "https://creativecommons.org/licenses/by-nc/4.0/",
            False,
        ),
        (
            "fastvit_s12.apple_in1k",
            "fastvit-license",
            "https://huggingface.co/timm/fastvit_s12.apple_in1k",
            False,
        ),
        (
            "dla60_res2net.in1k",
            "no licence recorded by timm",
            "https://huggingface.co/timm/dla60_res2net.in1k",
            False,
        ),
    ],
)
def test_the_licence_is_timms(name: str, title: str, link: str, permissive: bool) -> None:
    weights = timm_weights(name)
    assert (weights.title, weights.link, weights.permissive) == (title, link, permissive)
    assert (weights.notice is None) == permissive
    assert permissive or (name in str(weights.notice) and link in str(weights.notice))


def test_a_restricting_licence_is_named_before_the_download(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    notices: list[int] = []

    def no_download(*_: Any, **__: Any) -> None:
        notices.append(sum("DINOv3 License" in record.message for record in caplog.records))
        raise OSError("no network")

    monkeypatch.setattr(hub, "get_hf_file_metadata", no_download)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(WeightsError, match="cannot be fetched"):
        hub.fetch_weights(DINO)
    assert notices == [1]
    with pytest.raises(WeightsError, match="cannot be fetched"):
        hub.fetch_weights("resnet18.a1_in1k")
    assert "resnet18" not in caplog.text


def test_a_run_keeps_the_licence_of_what_it_started_from(tmp_path: Path) -> None:
    assert initial_weights(model("none")) is None
    assert initial_weights(model("imagenet")) == initial_weights(model("pretrained")) == timm_weights(DINO)
    first = {"state_dict": {}, OUR_RECORD: {"config": {"model": model("imagenet")}}}  # an earlier version
    torch.save(first, tmp_path / "first.ckpt")
    second = initial_weights(model(str(tmp_path / "first.ckpt")))
    assert second == timm_weights(DINO)
    record = {"config": {"model": model("first.ckpt")}, INITIAL_WEIGHTS: second.record()}
    torch.save({"state_dict": {}, OUR_RECORD: record}, tmp_path / "second.ckpt")
    assert initial_weights(model(str(tmp_path / "second.ckpt"))) == second
    torch.save({"a": torch.zeros(1)}, tmp_path / "foreign.pth")
    assert initial_weights(model(str(tmp_path / "foreign.pth"))) is None


def test_a_published_network_keeps_it_too(tmp_path: Path) -> None:
    import safetensors.torch

    record = published_record(
        classes=["a", "b"], fingerprint="f", epoch=0, config={}, training_images={}, computed=[],
        initial_weights=timm_weights(DINO).record(),
    )  # fmt: skip
    (tmp_path / "heritage_run.json").write_text(json.dumps(record))
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    about = open_published(tmp_path / "model.safetensors")[OUR_RECORD]
    assert recorded_initial_weights(about) == timm_weights(DINO)
    assert initial_weights(model(str(tmp_path / "model.safetensors"))) == timm_weights(DINO)


@pytest.mark.parametrize(
    "recorded",
    [None, [], "x", {"name": 1}, {"name": "x" * 300}, {"name": "a", "licence": 3}],
)
def test_what_no_run_records_is_nothing(recorded: object) -> None:
    assert InitialWeights.read(recorded) is None
    assert recorded_initial_weights({INITIAL_WEIGHTS: recorded}) is None


def test_an_unknown_name_in_an_earlier_checkpoint_is_nothing() -> None:
    assert recorded_initial_weights({"config": {"model": model("imagenet", name="no_such.net")}}) is None
    assert recorded_initial_weights({"config": None}) is None


def test_imagenet_and_pretrained_are_one_setting() -> None:
    assert upgrade_config({"model": model("imagenet")}) == {"model": model("pretrained")}
    own = {"model": {"_target_": "my.net", "weights": "imagenet"}}
    assert upgrade_config(own) == own
    assert upgrade_override("model.weights=imagenet") == "model.weights=pretrained"
    assert first_name("model.weights=pretrained") == "model.weights=imagenet"
    assert differences({"model": model("pretrained")}, upgrade_config({"model": model("imagenet")})) == []
