"""The name of a run's data set: in the name of the run folder, and in reports."""

from __future__ import annotations

import re
import unicodedata
from os import PathLike
from pathlib import PurePath

from omegaconf import DictConfig, OmegaConf

from heritage.errors import HeritageError

_MAX_LENGTH = 40
_OTHER = re.compile(r"[^\w.-]+")
_KNOWN_BY_OPTION = ("demo",)


def data_set_name(*, _root_: DictConfig) -> str:
    """Return the name of a run's data set: of the folder ``data.root``, or of the group's option.

    The resolver ``${data_set_name:}``. Letters of any language and digits are kept, others become ``-``, so
    that the name is one part of a path that no shell or override has to quote.

    Args:
        _root_: The whole configuration, with the command line's overrides.
    """
    option = str(OmegaConf.select(_root_, "hydra.runtime.choices.data") or "data")
    if option in _KNOWN_BY_OPTION:
        return option
    try:
        root = OmegaConf.select(_root_, "data.root", throw_on_missing=False)
    except (HeritageError, ValueError):  # an interpolation of the user's that cannot be resolved yet
        root = None
    return name_of_folder(str(root)) if root else option


def data_set_title(option: str | None, root: PathLike[str] | str | None) -> str:
    """Return the name of a run's data set for readers: as `data_set_name`, with the folder's name as it is.

    Args:
        option: The option of the group ``data``; None if it is not known.
        root: The data set's folder.

    Example:
        >>> data_set_title("folder", "outputs/data/my vases"), data_set_title("demo", "outputs/data/demo")
        ('my vases', 'demo')
    """
    if option in _KNOWN_BY_OPTION:
        return str(option)
    return PurePath(root or "").name or option or "data"


def name_of_folder(root: str) -> str:
    """Return a folder's name as one part of a path without blanks; ``data`` for one that has no name."""
    name = unicodedata.normalize("NFC", PurePath(root).name)
    return _OTHER.sub("-", name).strip(".-")[:_MAX_LENGTH].strip(".-") or "data"
