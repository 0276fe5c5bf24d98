"""Test-time augmentation: the views, their average, and networks that do not take them."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from heritage.errors import ConfigError
from heritage.models.network import centred_input, set_input_spec
from heritage.models.normalize import NormalizedModel
from heritage.models.views import COUNTS, VIEWS, pooled_logits, require_views, views


def gradient(size: int = 32) -> Tensor:
    """Return an image that brightens from left to right in red and from top to bottom in green."""
    rows, columns = np.mgrid[0:size, 0:size] * 255 / (size - 1)
    pixels = np.stack([columns, rows, np.zeros_like(rows)], axis=2).round().astype(np.uint8)
    return torch.from_numpy(pixels)[None]


def network(name: str, **options: int) -> nn.Module:
    """Return one of timm's networks for three classes and 32 px, with random weights."""
    torch.manual_seed(0)
    net: nn.Module = timm.create_model(name, num_classes=3, **options).eval()
    set_input_spec(net, centred_input(32))
    return net


def test_the_views_are_those_of_their_names() -> None:
    image = gradient()
    assert {tta: len(views(image, tta)) for tta in VIEWS} == COUNTS
    assert torch.equal(views(image, "flip")[1], image.flip(2))
    centre, *corners = views(image, "five_crop")
    means = [tuple(round(float(value)) for value in crop[0].float().mean(dim=(0, 1))[:2]) for crop in corners]
    low, high = min(means)[0], max(means)[0]
    assert sorted(means) == [(low, low), (low, high), (high, low), (high, high)]
    assert low + high == 255
    assert centre.float().mean(dim=(0, 1, 2))[:2].tolist() == pytest.approx([127.5, 127.5], abs=1)
    ten = views(image, "ten_crop")
    for crop, mirrored in zip(ten[:5], ten[5:], strict=True):
        assert torch.equal(crop.flip(2), mirrored)
    assert [view.shape[1] for view in views(image, "multi_scale")] == [26, 32, 40, 26, 32, 40]


def test_the_average_is_of_probabilities() -> None:
    logits = [torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[-1.0, 1.0], [4.0, 0.0]])]
    mean = torch.stack([one.softmax(dim=1) for one in logits]).mean(dim=0)
    torch.testing.assert_close(pooled_logits(logits).softmax(dim=1), mean)
    assert pooled_logits(logits[:1]) is logits[0], "the logits of one view are kept"


@pytest.mark.parametrize("tta", VIEWS)
def test_a_model_averages_its_views(tta: str) -> None:
    net = network("resnet10t")
    model = NormalizedModel(net, views=tta).eval()  # type: ignore[arg-type]
    require_views(model, tta, 32)  # type: ignore[arg-type]
    images = torch.cat([gradient(), gradient().flip(1)])
    single = NormalizedModel(net).eval()
    with torch.inference_mode():
        chosen = views(images, tta)  # type: ignore[arg-type]
        mean = torch.stack([single(view).softmax(dim=1) for view in chosen]).mean(dim=0)
        torch.testing.assert_close(model(images).softmax(dim=1), mean, atol=1e-5, rtol=1e-4)


def test_a_shift_is_added_to_the_average_and_outputs_are_reordered() -> None:
    net = network("resnet10t")
    plain = NormalizedModel(net, views="flip").eval()
    order = torch.tensor([2, 0, 1])
    shifted = NormalizedModel(net, torch.tensor([0.0, 1.0, -1.0]), views="flip", order=order).eval()
    with torch.inference_mode():
        right = plain(gradient())[:, order] + torch.tensor([0.0, 1.0, -1.0])
        torch.testing.assert_close(shifted(gradient()), right)


def test_a_network_of_one_size_refuses_other_sizes() -> None:
    net = network("vit_tiny_patch16_224", img_size=32, patch_size=8)
    model = NormalizedModel(net).eval()
    require_views(model, "ten_crop", 32)
    with pytest.raises(ConfigError, match=r"tta=multi_scale: .* of 32 px only, not of 26"):
        require_views(model, "multi_scale", 32)
    with pytest.raises(ConfigError, match="tta=often"):
        require_views(nn.Identity(), "often", 32)  # type: ignore[arg-type]
