"""The table of network builders that a checkpoint may name.

A checkpoint holds a configuration, and with it the dotted name of the function that built its network. That
name is only ever looked up here: nothing that a file names is imported.

Every module of `heritage.models` is imported before the first look-up, so a new architecture of the package
needs the decorator and nothing else. A network that is defined elsewhere can be rebuilt once its module has
been imported.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}


def register_network(builder: Builder) -> Builder:
    """Let checkpoints name this function as the builder of their network.

    Args:
        builder: A function with the keyword arguments ``weights``, ``num_classes`` and ``image_size`` and
            those of its ``conf/model/<name>.yaml``; it returns a network that keeps the contract of
            `heritage.models.network`.

    Returns:
        The function itself.

    Example:
        >>> @register_network
        ... def small_cnn(*, width, weights, num_classes, image_size): ...
        >>> network_builders()[f"{small_cnn.__module__}.small_cnn"] is small_cnn
        True
    """
    _BUILDERS[f"{builder.__module__}.{builder.__qualname__}"] = builder
    return builder


def network_builders() -> Mapping[str, Callable[..., Any]]:
    """Return the registered builders by their dotted names."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"heritage.models.{module.name}")
    return _BUILDERS
