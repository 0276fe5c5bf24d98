"""The classes that a classifier was trained for, and those of the data set that it meets now."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from heritage.models.finetune import reset_classifier
from heritage.models.layers import classifier_names
from heritage.models.weights import recorded_classes

_log = logging.getLogger(__name__)


def match_classifier(net: nn.Module, file: str, classes: Sequence[str]) -> None:
    """Bring a classifier that came from a checkpoint of ours to a data set's classes.

    Its outputs are put in the data set's order where the classes are the same. Where they are others, as many
    by chance, it starts anew and the log says so: its first output would go on meaning a class that is no
    longer there. Foreign files do not name their classes; they are left as they are.

    Args:
        net: A network that loaded ``file``.
        file: The file of weights.
        classes: The data set's class list, length K.
    """
    theirs = recorded_classes(Path(file).expanduser())
    if theirs is None or theirs == tuple(classes) or len(theirs) != len(classes):
        return  # of another number, the classifier was left out already
    if set(theirs) == set(classes):
        _reorder(net, [theirs.index(name) for name in classes])
        return
    reset_classifier(net)
    lost = [name for name in theirs if name not in set(classes)]
    _log.warning(
        "%s: its classes are others (%s is not among this data set's); the classifier starts untrained",
        file,
        ", ".join(lost),
    )


@torch.no_grad()
def _reorder(net: nn.Module, order: list[int]) -> None:
    parameters: Mapping[str, nn.Parameter] = dict(net.named_parameters())
    for name in classifier_names(net):
        parameters[name].copy_(parameters[name][order])
