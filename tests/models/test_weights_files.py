"""Weights from files: every supported container, and weights that do not fit."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

from heritage.errors import WeightsError
from heritage.models.backbone import timm_network
from heritage.models.vit_sizes import vit
from heritage.models.weights import class_count, read_weights

RESNET = "test_resnet.r160_in1k"
VIT: dict[str, Any] = {
    "size": "tiny",
    "width": 24,
    "depth": 2,
    "heads": 3,
    "patch_size": 8,
    "mlp_ratio": 2.0,
    "pool": "avg",
    "positions": "sincos",
    "stem": "linear",
    "dropout": 0.0,
    "drop_path": 0.0,
    "layer_scale": None,
    "grad_checkpointing": False,
    "num_classes": 6,
    "image_size": 32,
}


def build(weights: Path | str, num_classes: int = 6, name: str = RESNET, image_size: int | None = 64) -> Any:
    return timm_network(
        name=name,
        weights=str(weights),
        drop_rate=None,
        drop_path_rate=None,
        grad_checkpointing=False,
        num_classes=num_classes,
        image_size=image_size,
    )


def state_of(num_classes: int, name: str = RESNET, **options: Any) -> dict[str, Tensor]:
    torch.manual_seed(num_classes)
    state: dict[str, Tensor] = timm.create_model(name, num_classes=num_classes, **options).state_dict()
    return {key: value + 0.01 if value.is_floating_point() else value for key, value in state.items()}


def save(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "container", ["safetensors", "plain", "timm", "torchvision", "lightning", "compiled"]
)
def test_reads_every_container(tmp_path: Path, container: str) -> None:
    state = state_of(6)
    loss = {"loss.weight": torch.ones(6), "confusion.matrix": torch.ones(6, 6)}
    file = {
        "safetensors": lambda: save(tmp_path / "w.safetensors", state),
        "plain": lambda: save(tmp_path / "w.pt", state),
        "timm": lambda: save(
            tmp_path / "w.pth.tar", {"state_dict": state, "args": argparse.Namespace(lr=0.1), "epoch": 3}
        ),
        "torchvision": lambda: save(tmp_path / "w.pth", {"model": state}),
        "lightning": lambda: save(
            tmp_path / "last.ckpt",
            {
                "state_dict": {f"net.{key}": value for key, value in state.items()} | loss,
                "hyper_parameters": {"lr": 0.1},
            },
        ),
        "compiled": lambda: save(
            tmp_path / "last.ckpt",
            {"state_dict": {f"net._orig_mod.{key}": value for key, value in state.items()} | loss},
        ),
    }[container]()
    loaded = read_weights(file)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    loaded = build(file).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_a_classifier_for_other_classes_is_not_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = state_of(1000)
    file = save(tmp_path / "w.safetensors", state)
    with caplog.at_level(logging.INFO):
        net = build(file)
    assert (
        "the classifier for 1000 classes is not loaded; the one for 6 classes starts untrained" in caplog.text
    )
    loaded = net.state_dict()
    assert loaded["fc.weight"].shape == (6, state["fc.weight"].shape[1])
    assert all(torch.equal(loaded[key], value) for key, value in state.items() if not key.startswith("fc."))
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 6)
    assert "state_dict" not in net.pretrained_cfg


def test_weights_without_classifier_are_a_backbone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = {key: value for key, value in state_of(6).items() if not key.startswith("fc.")}
    with caplog.at_level(logging.INFO):
        loaded = build(save(tmp_path / "w.safetensors", state)).state_dict()
    assert "there is no classifier" in caplog.text
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_positions_are_resampled_to_another_image_size(tmp_path: Path) -> None:
    name = "test_vit.r160_in1k"
    file = save(tmp_path / "w.safetensors", state_of(1000, name))
    theirs = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay={"file": str(file)}, num_classes=6, img_size=64
    ).state_dict()
    ours = build(file, name=name, image_size=64).state_dict()
    assert ours["pos_embed"].shape[1] == 4 * 4 + 1
    assert all(torch.equal(ours[key], value) for key, value in theirs.items() if not key.startswith("head."))


def spoil(state: dict[str, Tensor], fault: str) -> dict[str, Tensor]:
    if fault == "missing":
        return {key: value for key, value in state.items() if not key.startswith("layer4.0.conv1")}
    if fault == "unexpected":
        return state | {"extra.weight": torch.ones(1)}
    return state | {"layer1.0.bn1.weight": torch.ones(7)}


@pytest.mark.parametrize("num_classes", [6, 1000])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", r"missing layer4\.0\.conv1\.weight;"),
        ("unexpected", r"unexpected extra\.weight;"),
        ("shape", r"layer1\.0\.bn1\.weight is \[7\], not \[32\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, fault: str, message: str, num_classes: int
) -> None:
    file = save(tmp_path / "w.safetensors", spoil(state_of(num_classes), fault))
    with pytest.raises(WeightsError, match=message):
        build(file)


@pytest.mark.parametrize(
    "name", ["test_vit.r160_in1k", "test_convnext.r160_in1k", "test_efficientnet.r160_in1k"]
)
def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    file = save(tmp_path / "w.safetensors", state_of(1000))
    with pytest.raises(WeightsError) as caught:
        build(file, name=name)
    assert f"not the weights of {name}" in str(caught.value)
    assert len(str(caught.value)) < 600


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("intruded",)


def test_code_in_a_checkpoint_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = save(tmp_path / "w.pt", {"state_dict": state_of(6), "surprise": Intruder()})
    with pytest.raises(WeightsError, match="never run"):
        build(file)
    assert not (tmp_path / "intruded").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "empty.pt", "empty.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"" if name.startswith("empty") else b"\x93 neither one nor the other")
    with pytest.raises(WeightsError, match=name):
        build(file)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "w.pt", state_of(6))
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(WeightsError, match="damaged"):
        build(file)


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], {"state_dict": {"fc.weight": 3}}])
def test_files_without_weights_are_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match="contains"):
        build(save(tmp_path / "w.pt", content))


def test_the_message_for_a_missing_file_names_the_choices(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="pretrained, none, the path of a file of weights, or hf-hub"):
        build(tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match="imagnet: no such file"):
        build("imagnet")


def test_a_home_folder_is_expanded_and_a_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    state = state_of(6)
    save(tmp_path / "w.safetensors", state)
    assert torch.equal(build("~/w.safetensors").state_dict()["fc.weight"], state["fc.weight"])
    ours = vit(**VIT, weights="none").state_dict()
    save(tmp_path / "ours.safetensors", {name: value + 0.5 for name, value in ours.items()})
    assert torch.equal(vit(**VIT, weights="~/ours.safetensors").norm.weight, ours["norm.weight"] + 0.5)
    with pytest.raises(WeightsError, match="is a folder; name the file in it"):
        build(tmp_path)


def test_the_vision_transformer_loads_its_checkpoints(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    trained = vit(**VIT, weights="none")
    torch.nn.init.normal_(trained.head.weight)
    content = {"state_dict": {f"net.{key}": value for key, value in trained.state_dict().items()}}
    file = save(tmp_path / "last.ckpt", content)

    again = vit(**VIT, weights=str(file)).eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(images), trained.eval()(images))

    with caplog.at_level(logging.INFO):
        other = vit(**VIT | {"num_classes": 4, "image_size": 64}, weights=str(file))
    assert "for 6 classes is not loaded; the one for 4" in caplog.text
    body = [name for name, _ in trained.named_parameters() if not name.startswith("head.")]
    assert all(torch.equal(other.get_parameter(name), trained.get_parameter(name)) for name in body)
    assert torch.count_nonzero(other.head.weight) == 0

    with pytest.raises(WeightsError, match=r"patch_embed\.proj\.bias is \[24\], not \[48\], .* and 26 more"):
        vit(**VIT | {"width": 48}, weights=str(file))


def test_class_count() -> None:
    state = {"head.weight": torch.ones(7, 2), "head_dist.weight": torch.ones(7, 2)}
    assert class_count(state, "head") == 7
    assert class_count(state, ("head", "head_dist")) == 7
    assert class_count(state, "fc") == 0
    assert class_count(state, None) == 0


def test_weights_that_are_no_finite_numbers_are_refused(tmp_path: Path) -> None:
    good = state_of(6)
    name = next(key for key in good if key.endswith(".weight"))
    weight = good[name]
    faults: dict[str, tuple[Tensor, str]] = {
        "NaN": (torch.full_like(weight, torch.nan), f"NaN or infinite values .first in {name}"),
        "infinite": (torch.full_like(weight, -torch.inf), "NaN or infinite"),
        "NaN of 16 bits": (torch.full_like(weight, torch.nan).bfloat16(), "NaN or infinite"),
        "NaN of 8 bits": (torch.full_like(weight, torch.nan).to(torch.float8_e4m3fn), "NaN or infinite"),
        "integers": (weight.long(), f"{name} has integers .torch.int64"),
        "booleans": (weight > 0, f"{name} has integers .torch.bool"),
        "complex": (weight.to(torch.complex64), f"{name} has no real numbers"),
    }
    for kind, (wrong, message) in faults.items():
        for suffix in ("safetensors", "pt"):
            file = tmp_path / f"{kind}.{suffix}"
            save = safetensors.torch.save_file if suffix == "safetensors" else torch.save
            save(good | {name: wrong}, file)
            with pytest.raises(WeightsError, match=message) as error:
                build(file)
            assert "\n" not in str(error.value)


def test_weights_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save(state_of(6) | {"fc.weight": torch.zeros(1, 1).expand(1 << 20, 1 << 14)}, file)
    with pytest.raises(WeightsError, match="more than the file has"):
        build(file)


def test_a_classifier_without_a_shape_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file({name: torch.zeros(()) for name in state_of(6)}, file)
    with pytest.raises(WeightsError, match="these are not the weights of"):
        build(file)
