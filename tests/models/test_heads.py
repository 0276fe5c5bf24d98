"""Heads: their logits, their place in any network, and what a checkpoint may claim about them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

import heritage
from heritage.errors import CheckpointError, ConfigError
from heritage.models.backbone import timm_network
from heritage.models.checkpoint import Checkpoint, parse_checkpoint, rebuild_network
from heritage.models.heads import CosineHead, NearestNeighbourHead, attach_head, head_fault
from heritage.models.vit_sizes import vit
from heritage.training.build import build
from tests.models.foreign_checkpoints import CLASSES, NETWORK, valid_state


def test_cosine_logits_are_scaled_cosines() -> None:
    head = CosineHead(5, 3, scale=7.0)
    x = torch.randn(4, 5)
    weight = head.weight.detach()
    expected = torch.cosine_similarity(x[:, None], weight[None], dim=2) * 7.0
    torch.testing.assert_close(head(x).detach(), expected)
    torch.testing.assert_close(head(100 * x), head(x))


def filled(features: torch.Tensor, targets: torch.Tensor, classes: int, k: int) -> NearestNeighbourHead:
    head = NearestNeighbourHead(features.shape[1], classes, len(features), k, temperature=0.1)
    head.features.copy_(nn.functional.normalize(features, dim=1))
    head.targets.copy_(targets)
    return head


def test_nearest_neighbours_vote_by_similarity() -> None:
    random = torch.Generator().manual_seed(0)
    stored, targets = torch.randn(30, 6, generator=random), torch.arange(30) % 4
    head = filled(stored, targets, 4, k=5)
    head.class_weights.copy_(torch.tensor([1.0, 2.0, 1.0, 0.5]))
    x = torch.randn(8, 6, generator=random)
    reference = head.features.double().numpy()
    for row, logits in zip(x.double().numpy(), head(x), strict=True):
        cosines = reference @ (row / np.linalg.norm(row))
        votes = np.zeros(4)
        for near in np.argsort(-cosines)[:5]:
            votes[int(targets[near])] += np.exp(cosines[near] / 0.1) * [1, 2, 1, 0.5][int(targets[near])]
        np.testing.assert_allclose(logits.softmax(0), votes / votes.sum(), atol=1e-5)


NETWORKS = ["resnet10t", "tf_efficientnet_lite0", "vit_tiny_patch16_224", "convnext_atto",
            "mobilenetv3_small_050", "swin_tiny_patch4_window7_224", "test_vit3"]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_head_takes_the_classifiers_place_in_networks_of_timm(name: str) -> None:
    options = {"img_size": 64} if name.startswith(("vit", "swin")) else {}
    options |= {"window_size": 2} if name.startswith("swin") else {}
    net: Any = timm.create_model(name, num_classes=3, **options).eval()
    images = torch.randn(2, 3, *([160, 160] if name == "test_vit3" else [64, 64]))
    with torch.no_grad():
        before = net.forward_head(net.forward_features(images), pre_logits=True)
        attach_head(net, "cosine")
        head = net.get_classifier()
        assert isinstance(head, CosineHead)
        torch.testing.assert_close(net(images), head(before))
    assert attach_head(net, None) is net


def test_a_classifier_of_two_layers_keeps_its_head() -> None:
    net = timm.create_model("deit_tiny_distilled_patch16_224", img_size=32, num_classes=3)
    with pytest.raises(ConfigError, match="several layers"):
        attach_head(net, "cosine")


def state_with(head: str, root: Path) -> dict[str, Any]:
    """Return the content of a checkpoint of a tiny network with another head."""
    state = valid_state(root)
    state["heritage"]["config"]["model"]["head"] = head
    torch.manual_seed(0)
    net: nn.Module = vit(**NETWORK, num_classes=len(CLASSES), image_size=32)
    stored = {"head.features": torch.zeros(7, 8)}
    attach_head(net, head, stored)
    if head == "knn":
        classifier: Any = net.get_submodule("head")
        classifier.features.copy_(nn.functional.normalize(torch.randn(7, 8), dim=1))
        classifier.targets.copy_(torch.arange(7) % 3)
        classifier.neighbours.fill_(4)
    state["state_dict"] = {f"net.{name}": value for name, value in net.state_dict().items()}
    return state


def checkpoint(state: dict[str, Any], tmp_path: Path) -> Checkpoint:
    file = tmp_path / "x.ckpt"
    file.write_bytes(bytes(100_000))
    return parse_checkpoint(state, file)


@pytest.mark.parametrize("head", ["linear", "cosine", "knn"])
def test_a_checkpoint_rebuilds_its_head(head: str, tmp_path: Path) -> None:
    net: Any = rebuild_network(checkpoint(state_with(head, tmp_path), tmp_path))
    kinds = {"linear": nn.Linear, "cosine": CosineHead, "knn": NearestNeighbourHead}
    assert type(net.get_classifier()) is kinds[head]
    logits = net.eval()(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 3)
    if head == "knn":
        assert net.get_classifier().count == 4


WRONG: dict[str, tuple[str, Any, str]] = {
    "a head of no table": ("head", "os.system", "model.head"),
    "a head with a target": ("head", {"_target_": "os.system"}, "model.head"),
    "a list of heads": ("head", ["knn"], "model.head"),
    "a number": ("head", 3, "model.head"),
    "the weights of another head": ("head", "cosine", "do not fit"),
    "no such class": ("targets", torch.full((7,), 3), "of classes that it does not have"),
    "a negative class": ("targets", torch.full((7,), -1), "of classes that it does not have"),
    "too many neighbours": ("neighbours", torch.tensor(8), "have no 8 neighbours"),
    "no neighbour": ("neighbours", torch.tensor(0), "have no 0 neighbours"),
    "no temperature": ("temperature", torch.tensor(0.0), "not positive"),
    "narrow features": ("features", torch.zeros(7, 4), "do not fit"),
    "features of one dimension": ("features", torch.zeros(7), "no stored features"),
    "more features than bytes": ("features", torch.zeros(1, 8).expand(10**12, 8), "more than the file has"),
    "fractions as classes": ("targets", torch.zeros(7), "another type of numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_head_is_one_line_before_anything_large_is_allocated(name: str, tmp_path: Path) -> None:
    key, value, expected = WRONG[name]
    state = state_with("knn", tmp_path)
    if key == "head":
        state["heritage"]["config"]["model"]["head"] = value
    else:
        state["state_dict"][f"net.head.{key}"] = value
    began = time.perf_counter()
    with pytest.raises(CheckpointError, match=expected) as error:
        rebuild_network(checkpoint(state, tmp_path))
    assert str(error.value).isprintable()
    assert time.perf_counter() - began < 5


def test_a_scale_of_zero_is_refused(tmp_path: Path) -> None:
    state = state_with("cosine", tmp_path)
    state["state_dict"]["net.head.scale"] = torch.tensor(0.0)
    with pytest.raises(CheckpointError, match="scale of its cosine classifier"):
        rebuild_network(checkpoint(state, tmp_path))
    assert head_fault(attach_head(vit(**NETWORK, num_classes=3, image_size=32), "cosine")) is None


def test_another_head_is_left_out_of_initial_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"name": "resnet10t.c3_in1k", "drop_rate": None, "drop_path_rate": None,
                               "grad_checkpointing": False, "image_size": 32}  # fmt: skip
    first = attach_head(timm_network(**options, weights="none", num_classes=3), "cosine")
    torch.save(first.state_dict(), file := tmp_path / "weights.pt")
    with caplog.at_level("INFO"):
        second = timm_network(**options, weights=str(file), num_classes=3)
    assert "there is no classifier; the one for 3 classes starts untrained" in caplog.text
    expected = first.get_parameter("conv1.0.weight") if hasattr(first, "conv1.0") else first.state_dict()
    assert isinstance(expected, dict)
    assert all(
        torch.equal(value, expected[name]) for name, value in second.state_dict().items() if "fc" not in name
    )
    plain = vit(**NETWORK | {"weights": "none"}, num_classes=3, image_size=32)
    torch.save(attach_head(plain, "cosine").state_dict(), file)
    again = vit(**NETWORK | {"weights": str(file)}, num_classes=3, image_size=32)
    assert torch.equal(again.norm.weight, plain.get_parameter("norm.weight"))


def compose(tree: Path, run: Path, *words: str) -> Any:
    return heritage.compose("train", [
        "data=class_folders", f"data.root={tree}", "data/split=image", "data.image_size=32",
        "data.num_workers=0",
        "model=vit", "model.width=8", "model.depth=1", "model.heads=1", "model.patch_size=16",
        "model.stem=linear", "trainer=cpu", "logger=none", f"paths.run={run}", *words,
    ])  # fmt: skip


def test_the_configuration_names_the_head(tree: Path, tmp_path: Path) -> None:
    assert compose(tree, tmp_path).model.head is None
    run = build(compose(tree, tmp_path / "run", "model.head=cosine"))
    assert isinstance(run.classifier.net.get_submodule("head"), CosineHead)
    assert run.config["model"]["head"] == "cosine"
    with pytest.raises(ConfigError, match=r"model\.head=cosin"):
        build(compose(tree, tmp_path / "other", "model.head=cosin"))
    with pytest.raises(ConfigError, match=r"finetune=probe finetune\.head=knn"):
        build(compose(tree, tmp_path / "knn", "model.head=knn"))
