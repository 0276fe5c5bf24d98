"""The leak check finds every kind of leak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heritage.curation.leak_check import check_leaks


def test_each_kind_of_leak_is_found() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 256), dtype=np.uint8)
    pictures[3] = pictures[0]
    hashes = rng.integers(0, 2**64, 4, dtype=np.uint64)
    hashes[3] = hashes[0] ^ np.uint64(0b1011)
    splits = ["train", "train", "val", "test"]
    apart = ["1", "2", "3", "4"]
    keys: dict[str, Sequence[str | None]] = {
        "groups": ["g", "h", "h", "i"],
        "objects": ["a", None, None, "a"],
        "raw_files": apart,
        "images": apart,
    }
    found = check_leaks(splits, keys, apart, hashes, pictures, radius=3, min_similarity=0.9)
    assert (found.groups, found.objects, found.raw_files, found.near_duplicates) == (1, 1, 0, 1)
    assert found.compared == 5
    assert not found.clean
    assert "near_duplicates: 4 and 1" in found.examples
    assert check_leaks(
        splits, dict.fromkeys(keys, apart), apart, hashes, pictures, radius=2, min_similarity=0.9
    ).clean
