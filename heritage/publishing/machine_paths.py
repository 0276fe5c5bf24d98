"""Paths of this machine in what is published.

They name people and folders, and mean nothing on another machine: only their last part is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_paths(node: Any) -> Any:
    """Return plain data in which paths of this machine are reduced to their last name.

    Example:
        >>> without_paths({"root": "/home/ada/vases", "weights": "hf-hub:owner/name"})
        {'root': 'vases', 'weights': 'hf-hub:owner/name'}
    """
    if isinstance(node, Mapping):
        return {key: without_paths(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [without_paths(value) for value in node]
    if isinstance(node, str) and _is_path(node):
        return node.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return node


def _is_path(text: str) -> bool:
    """Return whether a text is an absolute path of Unix or Windows, or one that leads upwards."""
    return text.startswith(("/", "~", "../", "\\\\")) or (text[1:3] in (":\\", ":/") and text[:1].isalpha())
