"""Bytes to normalised floats."""

from __future__ import annotations

import pytest
import torch

from heritage.models.normalize import Normalize

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def images() -> torch.Tensor:
    # Every byte, in every channel.
    values = torch.arange(256, dtype=torch.uint8)
    return torch.stack([values, values.flip(0), values.roll(100)], dim=-1).view(2, 16, 8, 3)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # Half of the distance between neighbours near the largest value, 2.64; float32 rounds more than once.
    [(torch.float32, 1e-6), (torch.float16, 2**-10), (torch.bfloat16, 2**-7)],
)
def test_agrees_with_the_plain_formula(images: torch.Tensor, dtype: torch.dtype, tolerance: float) -> None:
    result = Normalize(MEAN, STD, dtype)(images)
    scaled = images.double() / 255
    expected = torch.stack([(scaled[..., c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    assert result.dtype == dtype
    torch.testing.assert_close(result.double(), expected, atol=tolerance + 1e-6, rtol=0)


def test_result_is_channels_last_and_the_input_untouched(images: torch.Tensor) -> None:
    before = images.clone()
    result = Normalize(MEAN, STD)(images)
    assert result.shape == (2, 3, 16, 8)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


def test_mean_and_std_are_not_saved() -> None:
    assert Normalize(MEAN, STD).state_dict() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 4, 4, 3),
        torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
        torch.zeros(4, 4, 3, dtype=torch.uint8),
    ],
)
def test_refuses_floats_and_channels_first(wrong: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="expected uint8 images"):
        Normalize(MEAN, STD)(wrong)
