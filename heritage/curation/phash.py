"""Perceptual hashes, the pairs of them that are close, and whether such a pair shows the same photograph.

The hash is the DCT hash of Zauner (2010, "Implementation and benchmarking of perceptual image hash
functions"): the signs of the 64 lowest frequencies of a 32×32 grey picture about their median. Pairs
within a Hamming radius are found without comparing all with all, by multi-index hashing (Norouzi,
Punjani, Fleet 2012, "Fast search in Hamming space with multi-index hashing"): cut into four words of
16 bits, two hashes that are close nearly agree in one of them. Artefacts on plain paper often share a
coarse composition, so a pair counts only where small grey pictures of both also correlate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels

Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.int64]

SIGNATURE_SIDE = 16
WIDEST_RADIUS = 11  # three differing bits in a word already mean 697 look-ups for each hash
_WORDS, _WORD_BITS = 4, 16
_BLOCK = 1 << 22  # candidate pairs held at once: some 150 MB


def perceptual_hash(pixels: Pixels) -> int:
    """Return the 64-bit DCT hash of RGB pixels of shape (height, width, 3)."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    # The first coefficient is the mean brightness: it must not move the median.
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def signature(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return a grey picture of shape (256,), 16 pixels a side, by which two photographs are compared."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIGNATURE_SIDE, SIGNATURE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8).ravel()


def similarity(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the correlation of signatures, shape (N, 256) each, as an array of shape (N,)."""
    return np.asarray(np.einsum("ij,ij->i", _normal(first), _normal(second)))


def near_pairs(hashes: Hashes, radius: int) -> Pairs:
    """Find all pairs of hashes within a Hamming radius.

    Args:
        hashes: Shape (N,). Repeated hashes should be made unique first: all their pairs are returned.
        radius: At most `WIDEST_RADIUS`.

    Returns:
        Row numbers (i, j), i < j, of shape (M, 2), in order.
    """
    if not 0 <= radius <= WIDEST_RADIUS:
        raise ValueError(f"radius {radius} is outside 0..{WIDEST_RADIUS}")
    found = [
        pairs
        for word, reach in enumerate(_reaches(radius))
        for pairs in _pairs_by_word(hashes, word, reach, radius)
    ]
    codes = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))
    count = max(1, len(hashes))
    return np.stack([codes // count, codes % count], axis=1)


def _reaches(radius: int) -> list[int]:
    """Return for each word up to how many differing bits to look.

    Two hashes within 4q + a bits differ by at most q bits in one of the first a + 1 words, or by at
    most q - 1 in one of the others (Norouzi et al., section 3.2): -1 means not to look at all.
    """
    whole, rest = divmod(radius, _WORDS)
    return [whole if word <= rest else whole - 1 for word in range(_WORDS)]


def _pairs_by_word(hashes: Hashes, word: int, reach: int, radius: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield pairs, coded as i·N + j, of hashes that differ in few bits of one word."""
    keys = ((hashes >> np.uint64(word * _WORD_BITS)) & np.uint64((1 << _WORD_BITS) - 1)).astype(np.int64)
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(np.bincount(keys, minlength=1 << _WORD_BITS))
    starts = np.concatenate([[0], ends[:-1]])
    for mask in _masks(reach):
        # Of two words that differ by the mask, one has a 0 where its lowest bit is: look from that side.
        rows = np.flatnonzero((keys & (mask & -mask)) == 0)
        sought = keys[rows] ^ mask
        sizes = ends[sought] - starts[sought]
        for block in _blocks(sizes):
            first = np.repeat(rows[block], sizes[block])
            place = np.repeat(starts[sought[block]] + sizes[block] - np.cumsum(sizes[block]), sizes[block])
            second = order[place + np.arange(len(first))]
            close = np.bitwise_count(hashes[first] ^ hashes[second]) <= radius
            if not mask:
                close &= first < second
            first, second = first[close], second[close]
            yield np.minimum(first, second) * len(hashes) + np.maximum(first, second)


def _masks(most: int) -> list[int]:
    """Return the 16-bit words with at most ``most`` bits set."""
    return [
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in itertools.combinations(range(_WORD_BITS), count)
    ]


def _blocks(sizes: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield runs of rows whose candidates fit into memory."""
    borders = np.cumsum(sizes) // _BLOCK
    cuts = np.flatnonzero(np.diff(borders)) + 1
    yield from np.split(np.arange(len(sizes)), cuts)


def _normal(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    centred = pictures - pictures.mean(axis=1, keepdims=True, dtype=np.float64)
    # A flat picture is like nothing, not even like itself: blank ones are told apart before.
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))
