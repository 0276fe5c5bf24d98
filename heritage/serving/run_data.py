"""The data set that a network was trained on, where it still lies where it lay."""

from __future__ import annotations

from heritage.errors import HeritageError
from heritage.manifest import Manifest
from heritage.testbed import open_testbed
from heritage.trained import Trained


def run_manifest(trained: Trained) -> Manifest:
    """Return the manifest, with its splits, of the data set that a network was trained on.

    Raises:
        HeritageError: The data set is not there, or is no longer the same.
    """
    return open_testbed(trained, {}, "test").data.manifest


def run_manifest_if_there(trained: Trained) -> Manifest | None:
    """Return the same, or None where there is none."""
    try:
        return run_manifest(trained)
    except HeritageError:
        return None
