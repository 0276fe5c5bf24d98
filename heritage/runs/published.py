"""The files of a published network, written by `heritage publish`, read by ``ckpt=`` and ``model.weights=``.

A published folder has no pickle. ``model.safetensors`` holds the weights, ``heritage_run.json`` what a
checkpoint records beside them; both are checked as a checkpoint is (`heritage.models.checkpoint`).
"""

from __future__ import annotations

from pathlib import Path

from heritage.core.hub import HubAddress, fetch, parse_address, pin
from heritage.errors import CheckpointError, HeritageError
from heritage.runs.files import CALIBRATION_FILE, DATA_FILE

PUBLISHED_WEIGHTS = "model.safetensors"
PUBLISHED_RECORD = "heritage_run.json"

MAX_WEIGHTS_BYTES = 16 << 30
"""Size of the weights; the largest networks of timm have 12 GB."""
MAX_RECORD_BYTES = 16 << 20
"""Size of the JSON files."""

_WITHOUT_NETWORK = (
    "without network run `heritage weights model.weights={address}` on a machine that has it, and copy its "
    "cache (HF_HOME) here; or give a local {local}"
)


def is_published_folder(folder: Path) -> bool:
    """Return whether a folder holds a published network."""
    return (folder / PUBLISHED_WEIGHTS).is_file() and (folder / PUBLISHED_RECORD).is_file()


def is_published_file(file: Path) -> bool:
    """Return whether a file is the weights of a published network."""
    return file.name == PUBLISHED_WEIGHTS and (file.parent / PUBLISHED_RECORD).is_file()


def pinned_address(text: str, key: str, error: type[HeritageError]) -> HubAddress:
    """Return the commit that an address of the hub names now.

    Args:
        text: ``hf-hub:owner/name``, with or without ``@revision``.
        key: The option that holds it, for messages.
        error: The class of errors to raise.

    Raises:
        HeritageError: It is no address, or the hub does not have it or cannot be reached.
    """
    address = parse_address(text, key)
    return pin(address, PUBLISHED_WEIGHTS, key=key, error=error, remedy=_remedy(address, "file of weights"))


def fetch_published(text: str, key: str = "ckpt") -> Path:
    """Return the weights of a network on the hub, with the other files of the same commit beside them.

    Raises:
        ConfigError: It is no address of the hub.
        CheckpointError: The repository does not exist or has no published network, or cannot be fetched.
    """
    address = pinned_address(text, key, CheckpointError)
    remedy = _remedy(address, "run folder or checkpoint")
    for name in (PUBLISHED_RECORD, CALIBRATION_FILE, DATA_FILE):
        fetch(
            address,
            name,
            limit=MAX_RECORD_BYTES,
            key=key,
            error=CheckpointError,
            remedy=remedy,
            required=name == PUBLISHED_RECORD,
        )
    return _weights(address, key, CheckpointError, remedy)


def fetch_published_weights(text: str, key: str, error: type[HeritageError]) -> Path:
    """Return the file of weights of a repository on the hub, of this package or of timm's layout.

    Raises:
        HeritageError: It is no address, or the hub does not have it or cannot be reached.
    """
    address = pinned_address(text, key, error)
    remedy = _remedy(address, "file of weights")
    fetch(
        address, PUBLISHED_RECORD, limit=MAX_RECORD_BYTES, key=key, error=error, remedy=remedy, required=False
    )
    return _weights(address, key, error, remedy)


def _weights(address: HubAddress, key: str, error: type[HeritageError], remedy: str) -> Path:
    path = fetch(address, PUBLISHED_WEIGHTS, limit=MAX_WEIGHTS_BYTES, key=key, error=error, remedy=remedy)
    if path is None:
        raise RuntimeError("a required file is fetched, or an error")
    return path


def _remedy(address: HubAddress, local: str) -> str:
    return _WITHOUT_NETWORK.format(address=address, local=local)
