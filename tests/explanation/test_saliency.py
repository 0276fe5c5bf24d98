"""Saliency maps mark the decisive pixels for every architecture, and unfaithful maps are labelled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from heritage.errors import ConfigError
from heritage.explanation.attention import AttentionRecorder
from heritage.explanation.faithfulness import areas, blur, faithfulness, map_similarity, shuffled
from heritage.explanation.saliency import BATCH, Method, method_for, saliency
from heritage.models.backbone import timm_network
from heritage.models.network import input_spec
from heritage.models.normalize import NormalizedModel
from heritage.models.vit_sizes import vit
from heritage.models.vit_thesis import vit_thesis
from heritage.reports.figures import overlay

SIZE = 64


def network(name: str) -> NormalizedModel:
    torch.manual_seed(0)
    net: nn.Module
    if name == "vit":
        net = vit(size="tiny", width=32, depth=2, heads=2, patch_size=8, mlp_ratio=2.0, pool="avg",
                  positions="sincos", stem="linear", dropout=0.0, drop_path=0.0, layer_scale=None,
                  grad_checkpointing=False, weights="none", num_classes=3, image_size=SIZE)  # fmt: skip
        nn.init.normal_(net.get_parameter("head.weight"))
    elif name == "vit_thesis":
        net = vit_thesis(width=32, depth=2, heads=2, key_size=None, patch_size=8, dense_sizes=[16],
                         dropout=0.1, dense_dropout=0.5, grad_checkpointing=False, weights="none",
                         num_classes=3, image_size=SIZE)  # fmt: skip
    else:
        net = timm_network(name=name, weights="none", drop_rate=None, drop_path_rate=None,
                           grad_checkpointing=False, num_classes=3, image_size=SIZE)  # fmt: skip
    return NormalizedModel(net).eval()


class Corner(nn.Module):
    """Class 0 is how bright the upper left quarter is; all other pixels have no influence."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Identity()
        self.scale = nn.Parameter(torch.ones(1))

    def normalize(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).float() / 255

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.normalize(images))

    def logits(self, inputs: Tensor) -> Tensor:
        half = inputs.shape[-1] // 2
        bright = self.scale * 8 * inputs[:, :, :half, :half].mean(dim=(1, 2, 3))
        return torch.stack([bright, 4 - bright], dim=1)


class Net(nn.Module):
    def __init__(self, corner: Corner) -> None:
        super().__init__()
        self.corner = [corner]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.corner[0].logits(inputs)


def corner() -> Corner:
    model = Corner()
    model.net = Net(model)  # type: ignore[assignment]
    return model.eval()


def bright(count: int) -> Tensor:
    return torch.randint(180, 256, (count, SIZE, SIZE, 3), dtype=torch.uint8)


KINDS: tuple[tuple[str, Method], ...] = (
    ("resnet10t", "gradcam"), ("efficientnet_b0", "gradcam"), ("convnext_atto", "gradcam"),
    ("vit", "attention"), ("vit", "rollout"), ("vit_thesis", "attention"), ("vit_thesis", "rollout"),
    ("vit_tiny_patch16_224", "attention"), ("vit", "occlusion"), ("resnet10t", "integrated_gradients"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "method"), KINDS)
def test_every_method_on_its_architectures(name: str, method: Method) -> None:
    model = network(name)
    images = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    targets = torch.tensor([0, 2])
    with torch.inference_mode():  # as a server calls it
        maps = saliency(model, images, targets, method)
    assert maps.shape == (2, SIZE, SIZE)
    assert maps.min() >= 0
    highest = maps.amax(dim=(1, 2))
    assert ((highest == 0) | ((highest - 1).abs() < 1e-5)).all()  # a map may be all zero
    assert highest.max() > 0
    one = saliency(model, images[1:], targets[1:], method)
    torch.testing.assert_close(maps[1:], one, atol=2e-3, rtol=0)  # maps do not depend on the batch
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_the_decisive_region_is_marked_and_beats_its_opposite(method: Method) -> None:
    torch.manual_seed(0)
    model, images = corner(), bright(12)
    images[:, 32:, :] //= 2
    targets = torch.zeros(12, dtype=torch.int64)
    maps = saliency(model, images, targets, method)
    inside = maps[:, :32, :32].mean()
    assert inside > 5 * maps[:, 32:, 32:].mean()

    black = torch.zeros_like(images)
    deletion, insertion = areas(model, images, black, targets, maps)
    worst_deletion, worst_insertion = areas(model, images, black, targets, 1 - maps)
    assert (deletion < worst_deletion).all()
    assert (insertion > worst_insertion).all()


def test_a_random_map_is_labelled() -> None:
    torch.manual_seed(1)
    model, images = network("resnet10t"), torch.randint(0, 256, (10, SIZE, SIZE, 3), dtype=torch.uint8)
    result = faithfulness(model, images, torch.zeros(10, dtype=torch.int64), "gradcam",
                         maps=torch.rand(10, SIZE, SIZE))  # fmt: skip
    assert not result.beats_random
    assert "does not beat random" in result.label


def test_unsupported_methods_are_refused() -> None:
    images, targets = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8), torch.tensor([0])
    with pytest.raises(ConfigError, match="no feature maps"):
        saliency(network("vit"), images, targets, "gradcam")
    with pytest.raises(ConfigError, match="no attention"):
        saliency(network("resnet10t"), images, targets, "attention")
    with pytest.raises(ConfigError, match="no method 'x'"):
        saliency(network("resnet10t"), images, targets, "x")  # type: ignore[arg-type]
    assert method_for(network("vit").net, SIZE) == "attention"
    assert method_for(network("resnet10t").net, SIZE) == "gradcam"


def test_recorded_attention_gives_the_same_outputs() -> None:
    model = network("vit_tiny_patch16_224")
    images = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    with torch.inference_mode():
        fused = model(images)
        with AttentionRecorder() as recorder:
            seen = model(images)
    torch.testing.assert_close(seen, fused, atol=1e-4, rtol=0)
    assert len(recorder.weights) == 12
    torch.testing.assert_close(recorder.weights[0].sum(dim=-1), torch.ones(2, 3, 17), atol=1e-5, rtol=0)
    assert input_spec(model.net).image_size == SIZE


def test_recorded_attention_keeps_masks_and_scales() -> None:
    torch.manual_seed(0)
    query, key, value = torch.rand(3, 2, 4, 9, 8)
    seen = torch.rand(9, 9) > 0.3
    seen.fill_diagonal_(True)
    attend = functional.scaled_dot_product_attention
    for mask, scale in ((None, 0.7), (torch.rand(9, 9), None), (seen, 0.1)):
        fused = attend(query, key, value, attn_mask=mask, scale=scale)
        with AttentionRecorder():
            step_by_step = attend(query, key, value, attn_mask=mask, scale=scale)
        torch.testing.assert_close(step_by_step, fused, atol=1e-5, rtol=0)


def test_images_are_scored_in_batches() -> None:
    torch.manual_seed(0)
    model, count = network("resnet10t"), 2 * BATCH + 1
    batches: list[int] = []
    model.register_forward_hook(lambda _model, inputs, _output: batches.append(len(inputs[0])))
    images = torch.randint(0, 256, (count, SIZE, SIZE, 3), dtype=torch.uint8)
    targets = torch.zeros(count, dtype=torch.int64)
    maps = saliency(model, images, targets, "gradcam")
    assert maps.shape == images.shape[:3]
    result = areas(model, images, blur(images), targets, maps)
    last = areas(model, images[-1:], blur(images[-1:]), targets[-1:], maps[-1:])
    assert result[:, -1] == pytest.approx(last[:, 0], abs=1e-4)
    assert max(batches) <= BATCH, "larger batches may not fit into memory"


def test_shuffling_keeps_the_values_of_each_parameter() -> None:
    model = network("resnet10t")
    other = shuffled(model, 0)
    assert isinstance(other, nn.Module)
    for before, after in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(before.flatten().sort().values, after.flatten().sort().values)
    first = torch.rand(3, SIZE, SIZE)
    assert map_similarity(first, first) == pytest.approx(1)
    assert map_similarity(first, 1 - first) == pytest.approx(-1)
    plain = torch.full((1, 32, 32, 3), 7, dtype=torch.uint8)
    assert torch.equal(blur(plain), plain)


def test_an_overlay_keeps_the_image_where_the_map_is_zero() -> None:
    picture = torch.full((8, 8, 3), 100, dtype=torch.uint8).numpy()
    seen = torch.zeros(8, 8).numpy()
    seen[2, 2:6] = 1
    drawn = overlay(picture, seen).astype(int)
    assert abs(drawn[2, 2] - drawn[5, 5]).sum() > 100
    assert (drawn[5, 5] == drawn[7, 0]).all()
