"""Hashes against scipy's DCT, near pairs against brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy.fft import dctn  # type: ignore[import-untyped]

from heritage.core.image_io import Pixels, decode
from heritage.curation import phash
from heritage.curation.phash import near_pairs, perceptual_hash, signature, similarity
from tests.curation.raw_folders import jpeg, photograph


def brute_force(hashes: np.ndarray, radius: int) -> set[tuple[int, int]]:
    numbers = [int(h) for h in hashes]
    return {
        (i, j)
        for i in range(len(numbers))
        for j in range(i + 1, len(numbers))
        if (numbers[i] ^ numbers[j]).bit_count() <= radius
    }


@pytest.mark.parametrize("radius", [0, 3, 4, 8, 11])
def test_near_pairs_equal_those_of_brute_force(radius: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phash, "_BLOCK", 1000)  # so that work is cut into many blocks
    rng = np.random.default_rng(radius)
    centres = rng.integers(0, 2**64, 40, dtype=np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (400, 6), dtype=np.uint64), axis=1)
    hashes = np.concatenate([centres, rng.choice(centres, 400) ^ flips])
    found = near_pairs(hashes, radius)
    assert set(map(tuple, found.tolist())) == brute_force(hashes, radius)
    assert len(found) == len({tuple(pair) for pair in found.tolist()})


def test_no_hashes_have_no_pairs() -> None:
    assert near_pairs(np.empty(0, dtype=np.uint64), 8).shape == (0, 2)


def test_too_wide_a_radius_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 0"):
        near_pairs(np.zeros(2, dtype=np.uint64), 12)


def test_the_hash_is_the_signs_of_low_frequencies() -> None:
    pixels = photograph(3)
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = dctn(grey.astype(np.float64), norm="ortho")[:8, :8].ravel()
    bits = "".join("1" if value > np.median(low[1:]) else "0" for value in low)
    assert perceptual_hash(pixels) == int(bits, 2)


CHANGES: dict[str, Callable[[Pixels], npt.NDArray[Any]]] = {
    "saved poorly": lambda pixels: decode(jpeg(pixels, 40)),
    "half the size": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "twice the size": lambda pixels: cv2.resize(pixels, None, fx=2, fy=2),
    "other proportions": lambda pixels: cv2.resize(pixels, (256, 256)),
    "brighter": lambda pixels: cv2.add(pixels, np.full_like(pixels, 20)),
    "grey": lambda pixels: cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_photograph_is_near_and_another_is_not(change: str) -> None:
    for seed in range(20):
        original, other = photograph(seed), photograph(seed + 100)
        changed = np.asarray(CHANGES[change](original), dtype=np.uint8)
        pictures = [signature(one)[None] for one in (original, changed, other)]
        hashes = [perceptual_hash(one) for one in (original, changed, other)]
        assert (hashes[0] ^ hashes[1]).bit_count() <= 8
        assert similarity(pictures[0], pictures[1])[0] >= 0.95
        assert (hashes[0] ^ hashes[2]).bit_count() > 8 or similarity(pictures[0], pictures[2])[0] < 0.95


def test_similarity_is_the_correlation() -> None:
    first, second = (
        np.random.default_rng(seed).integers(0, 256, (3, 256), dtype=np.uint8) for seed in (1, 2)
    )
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(similarity(first, second), expected, atol=1e-12)
    assert similarity(np.full((1, 256), 7, np.uint8), np.full((1, 256), 7, np.uint8))[0] == 0
