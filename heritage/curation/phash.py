"""Perceptual hashes, search for near pairs of them, and the similarity of signatures.

The hash is the DCT hash of Zauner (2010, "Implementation and benchmarking of perceptual image hash
functions"): whether each of the 64 lowest frequencies of a 32×32 grey image is above their median. Pairs
within a Hamming radius are found by multi-index hashing (Norouzi, Punjani, Fleet 2012, "Fast search in
Hamming space with multi-index hashing"): of four words of 16 bits, near hashes nearly agree in at least one.
Artefacts on a plain background often have near hashes without being the same, so near-duplicates must also
have correlated signatures.
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
WIDEST_RADIUS = 11  # three differing bits in a word take 697 look-ups per hash
_WORDS, _WORD_BITS = 4, 16
_BLOCK = 1 << 22  # candidate pairs in memory at once: about 150 MB


def perceptual_hash(pixels: Pixels) -> int:
    """Return the 64-bit DCT hash of RGB pixels of shape (height, width, 3)."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    # The first coefficient is the mean brightness; it must not influence the median.
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def signature(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return a grey thumbnail of 16×16 pixels, shape (256,), for comparing photographs."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIGNATURE_SIDE, SIGNATURE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8).ravel()


def similarity(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the correlation of signatures, shape (N, 256) each, as an array of shape (N,)."""
    return np.asarray(np.einsum("ij,ij->i", _normalised(first), _normalised(second)))


def near_pairs(hashes: Hashes, radius: int) -> Pairs:
    """Find all pairs of hashes within a Hamming radius.

    Args:
        hashes: Shape (N,). Make repeated hashes unique first, as all their pairs are returned.
        radius: At most `WIDEST_RADIUS`.

    Returns:
        Row numbers (i, j), i < j, of shape (M, 2), in order.
    """
    if not 0 <= radius <= WIDEST_RADIUS:
        raise ValueError(f"radius {radius} is outside 0..{WIDEST_RADIUS}")
    codes_by_word = [
        pairs
        for word, word_radius in enumerate(_word_radii(radius))
        for pairs in _pairs_by_word(hashes, word, word_radius, radius)
    ]
    codes = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *codes_by_word]))
    count = max(1, len(hashes))
    return np.stack([codes // count, codes % count], axis=1)


def _word_radii(radius: int) -> list[int]:
    """Return the search radius of each word; -1 if it need not be searched.

    Two hashes within 4q + a bits differ by at most q bits in one of the first a + 1 words, or by at most q -
    1 in one of the others (Norouzi et al., section 3.2).
    """
    whole, rest = divmod(radius, _WORDS)
    return [whole if word <= rest else whole - 1 for word in range(_WORDS)]


def _pairs_by_word(
    hashes: Hashes, word: int, word_radius: int, radius: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield pairs, coded as i·N + j, of hashes that differ in few bits of one word."""
    keys = ((hashes >> np.uint64(word * _WORD_BITS)) & np.uint64((1 << _WORD_BITS) - 1)).astype(np.int64)
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(np.bincount(keys, minlength=1 << _WORD_BITS))
    starts = np.concatenate([[0], ends[:-1]])
    for mask in _masks(word_radius):
        # Of two words that differ by the mask, one has a 0 at its lowest bit: search from that one.
        rows = np.flatnonzero((keys & (mask & -mask)) == 0)
        searched = keys[rows] ^ mask
        sizes = ends[searched] - starts[searched]
        for block in _blocks(sizes):
            first = np.repeat(rows[block], sizes[block])
            place = np.repeat(starts[searched[block]] + sizes[block] - np.cumsum(sizes[block]), sizes[block])
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
    """Yield runs of rows whose candidate pairs fit into memory."""
    borders = np.cumsum(sizes) // _BLOCK
    cuts = np.flatnonzero(np.diff(borders)) + 1
    yield from np.split(np.arange(len(sizes)), cuts)


def _normalised(signatures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    centred = signatures - signatures.mean(axis=1, keepdims=True, dtype=np.float64)
    # The correlation of a flat image is 0, even with itself; blank photographs are dropped before.
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))
