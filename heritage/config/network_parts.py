"""Parts of a network that its configuration names beside the builder's arguments: head and adapters.

They are attached to whatever network the builder returns, so a builder does not know them. A configuration
without them, as earlier versions wrote it, describes the network as it was built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from heritage.core.types import PositiveFloat, PositiveInt

HeadName = Literal["linear", "cosine", "knn"]
"""Classifiers of `heritage.models.heads`; ``linear`` is the one that the builder made."""

COSINE_SCALE: Final = 30.0
"""Factor of the cosines of a cosine classifier, as in LDAM (Cao et al. 2019)."""

LORA: Final = "lora"
ADAPTER: Final = "adapter"
"""Kinds of adapters of `heritage.models.adapters`."""

_NO_OTHER_KEYS = ConfigDict(extra="forbid")


@with_config(_NO_OTHER_KEYS)
class LoraOptions(TypedDict):
    """Low-rank updates.

    Attributes:
        kind: ``lora``.
        rank: Rank of each update; layers that are no wider have none.
        alpha: Divided by the rank, the factor of the updates.
        where: ``attention``: its linear layers; ``all``: all linear layers and 1×1 convolutions before the
            classifier; ``auto``: ``attention`` in networks that have it, else ``all``.
    """

    kind: Literal["lora"]
    rank: PositiveInt
    alpha: PositiveFloat
    where: Literal["auto", "attention", "all"]


@with_config(_NO_OTHER_KEYS)
class BottleneckOptions(TypedDict):
    """A parallel bottleneck in each block.

    Attributes:
        kind: ``adapter``.
        bottleneck: Channels of the bottleneck.
        scale: Factor of its result.
    """

    kind: Literal["adapter"]
    bottleneck: PositiveInt
    scale: PositiveFloat


AdapterOptions: TypeAlias = Annotated[LoraOptions | BottleneckOptions, Field(discriminator="kind")]

NETWORK_PARTS: Mapping[str, Any] = {"head": HeadName | None, "adapters": AdapterOptions | None}
"""Types of the parts by key."""


def builder_node(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node ``model`` of a configuration without the parts: the builder and its arguments."""
    return {str(key): value for key, value in model.items() if key not in NETWORK_PARTS}


def network_parts(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts in the node ``model`` of a configuration; those that it lacks are None.

    The values are not checked: `heritage.config.validate` does it for a new configuration,
    `heritage.models.checkpoint` for a saved one.
    """
    return {key: model.get(key) for key in NETWORK_PARTS}
