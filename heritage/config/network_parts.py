"""Parts of a network that its configuration names beside the builder's arguments: ``model.head``.

They are attached to whatever network the builder returns, so a builder does not know them. A configuration
without them, as earlier versions wrote it, describes the network as it was built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

HeadName = Literal["linear", "cosine", "knn"]
"""Classifiers of `heritage.models.heads`; ``linear`` is the one that the builder made."""

COSINE_SCALE = 30.0
"""Factor of the cosines of a cosine classifier, as in LDAM (Cao et al. 2019)."""

NETWORK_PARTS: Mapping[str, Any] = {"head": HeadName | None}
"""Types of the parts by key; None is the default of each."""


def builder_node(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node ``model`` of a configuration without the parts: the builder and its arguments."""
    return {str(key): value for key, value in model.items() if key not in NETWORK_PARTS}


def network_parts(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts in the node ``model`` of a configuration; those that it lacks are None.

    The values are not checked: `heritage.config.validate` does it for a new configuration,
    `heritage.models.checkpoint` for a saved one.
    """
    return {key: model.get(key) for key in NETWORK_PARTS}
