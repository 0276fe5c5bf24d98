"""``adapters.safetensors``: the same network from the pretrained weights, and nothing else from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from heritage.errors import CheckpointError, WeightsError
from heritage.models.adapter_file import is_light, write_adapters
from heritage.models.adapters import adapter_names, attach_adapters
from heritage.models.checkpoint import read_checkpoint, rebuild_network
from heritage.models.finetune import norms_and_biases, set_trainable
from heritage.models.layers import classifier_names
from heritage.models.vit_sizes import vit
from heritage.models.weights import ADAPTERS_RECORD, read_weights
from tests.models.foreign_checkpoints import CLASSES, NETWORK, valid_state

LORA = {"kind": "lora", "rank": 2, "alpha": 4, "where": "auto"}
BOTTLENECK = {"kind": "adapter", "bottleneck": 3, "scale": 0.5}


def made(folder: Path, options: dict[str, Any] | None, norms: bool = False) -> tuple[nn.Module, Path]:
    """A trained network, and its file of adapters beside the weights that it started from."""
    folder.mkdir(exist_ok=True)
    state = valid_state(folder)
    pretrained = {name.removeprefix("net."): value for name, value in state["state_dict"].items()}
    save_file(pretrained, folder / "pretrained.safetensors")
    config = state["heritage"]["config"]
    config["model"] |= {"weights": f"/elsewhere/{folder.name}/pretrained.safetensors", "adapters": options}
    net = vit(**NETWORK | {"weights": str(folder / "pretrained.safetensors")}, num_classes=3, image_size=32)
    attach_adapters(net, options)
    set_trainable(net, "head", 0, "layers", adapters=options is not None, norms=norms)
    assert is_light(net, config["model"]["weights"])
    for parameter in net.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter.detach())
    write_adapters(folder / "adapters.safetensors", net, state["heritage"], 2)
    return net.eval(), folder / "adapters.safetensors"


@pytest.mark.parametrize(("options", "norms"), [(LORA, False), (BOTTLENECK, True), (None, True)])
@torch.no_grad()
def test_the_network_is_rebuilt_on_the_pretrained_weights(
    tmp_path: Path, options: dict[str, Any] | None, norms: bool
) -> None:
    net, file = made(tmp_path / "run", options, norms)
    stored = set(load_file(file))
    trained = adapter_names(net) | classifier_names(net) | (norms_and_biases(net) if norms else set())
    assert stored == trained
    assert b"/elsewhere" not in file.read_bytes()
    checkpoint = read_checkpoint(file)
    assert (checkpoint.classes, checkpoint.epoch, checkpoint.folder) == (tuple(CLASSES), 2, None)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(rebuild_network(checkpoint).eval()(x), net(x))
    assert read_checkpoint(tmp_path / "run").file == file, "a run folder whose checkpoints were removed"


def test_what_cannot_be_rebuilt_has_no_file() -> None:
    net = vit(**NETWORK, num_classes=3, image_size=32)
    set_trainable(net, "head", 0, "layers", norms=True)
    assert not is_light(net, "none")
    assert is_light(net, "imagenet")
    set_trainable(net, "head", 0, "layers")
    assert not is_light(net, "imagenet")
    set_trainable(net, "full", 0, "layers")
    assert not is_light(net, "imagenet")


def test_another_or_no_backbone_is_one_line(tmp_path: Path) -> None:
    _, file = made(tmp_path / "run", LORA)
    weights = tmp_path / "run" / "pretrained.safetensors"
    state = load_file(weights)
    save_file(state | {"norm.bias": state["norm.bias"] + 1e-6}, weights)
    with pytest.raises(
        CheckpointError, match=r"trained on another network than .* digest of its weights differs"
    ):
        read_checkpoint(file)
    save_file({"conv_stem.weight": torch.zeros(2)}, weights)  # of another architecture
    best = (
        r"; use checkpoints/best\.ckpt of the run, or put the file of weights that it started from beside it"
    )
    with pytest.raises(CheckpointError, match=rf"is not available: these are not the weights of .*{best}"):
        read_checkpoint(file)
    weights.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=rf"is not available: damaged.*{best}"):
        read_checkpoint(file)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"pretrained\.safetensors, are not beside it; copy that file"):
        read_checkpoint(file)


def test_weights_that_cannot_be_fetched_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, file = made(tmp_path / "run", LORA)
    with safetensors.safe_open(file, framework="pt") as opened:
        record = json.loads(opened.metadata()[ADAPTERS_RECORD])
    record["config"]["model"]["weights"] = "hf-hub:owner/name@main"
    save_file(load_file(file), file, metadata={ADAPTERS_RECORD: json.dumps(record)})

    def unreachable(*_: Any) -> Path:
        raise WeightsError("the hub cannot be reached", where="model.weights", remedy="train from scratch")

    monkeypatch.setattr("heritage.models.hub.fetch_published_weights", unreachable)
    remedy = r"of the run, or fetch .* \(heritage weights model\.weights=hf-hub:owner/name@main\)$"
    with pytest.raises(CheckpointError, match=rf"is not available: the hub cannot be reached .*{remedy}"):
        read_checkpoint(file)


def test_adapters_are_no_initial_weights(tmp_path: Path) -> None:
    _, file = made(tmp_path / "run", LORA)
    with pytest.raises(
        WeightsError, match=r"adapters of a run, .* give model\.weights=<run folder>/checkpoints"
    ):
        read_weights(file)


def test_damaged_and_hostile_files_are_one_line(tmp_path: Path) -> None:
    _, file = made(tmp_path / "run", LORA)
    with safetensors.safe_open(file, framework="pt") as opened:
        record = json.loads(opened.metadata()[ADAPTERS_RECORD])
    tensors, content = load_file(file), file.read_bytes()

    def refused(change: Any, match: str, weights: dict[str, Any] = tensors) -> None:
        copy = json.loads(json.dumps(record))
        change(copy)
        save_file(weights, file, metadata={"format": "pt", ADAPTERS_RECORD: json.dumps(copy)})
        with pytest.raises(CheckpointError, match=match):
            rebuild_network(read_checkpoint(file))

    model = {"_target_": "os.system", "command": "true", "weights": "imagenet"}
    refused(lambda r: r["config"].update(model=model), r"os\.system, which is not this package's")
    refused(lambda r: r["config"]["model"].update(depth=10**9), "model.depth is too large")
    refused(lambda r: r["config"]["model"].update(width=10**9), "model.width is too large")
    refused(lambda r: r["config"]["model"].update(weights="../../../etc/passwd"), "passwd, are not beside it")
    refused(lambda r: r["config"]["model"]["adapters"].update(rank=10**9), r"model\.rank is too large")
    refused(lambda r: r["config"]["model"]["adapters"].update(rank=100), "cannot be rebuilt")
    refused(lambda r: r["config"]["model"].update(adapters=BOTTLENECK), "do not fit its network")
    refused(lambda r: r["config"]["model"]["adapters"].update(kind="eval"), "cannot be rebuilt")
    refused(lambda r: r["classes"].append("mayan"), "do not fit its network")
    refused(lambda r: r.update(classes="all"), "record is unreadable")
    refused(lambda r: r.update(backbone="0" * 64), "digest of its weights differs")
    refused(lambda r: r.pop("config"), "record is unreadable")
    refused(lambda _: None, "NaN", {**tensors, "head.bias": tensors["head.bias"] * float("nan")})
    refused(lambda _: None, "unexpected other", {**tensors, "other": torch.zeros(1)})
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(file)
    shutil.copy(tmp_path / "run" / "pretrained.safetensors", file)
    with pytest.raises(CheckpointError, match="nor the adapters of a run"):
        read_checkpoint(file)
