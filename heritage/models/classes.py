"""Match a loaded classifier to the classes of a data set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from heritage.models.finetune import reset_classifier
from heritage.models.hub import weights_file
from heritage.models.layers import classifier_names
from heritage.models.published import published_classes
from heritage.models.weights import recorded_classes
from heritage.runs.published import is_published_file

_log = logging.getLogger(__name__)


def match_classifier(net: nn.Module, file: str, classes: Sequence[str]) -> None:
    """Adapt the classifier of a loaded checkpoint to a data set's classes.

    The same classes in another order: the outputs are permuted. The same number of different classes: the
    classifier is reinitialised, with a warning, since its outputs would stand for other classes. Files that
    do not record their classes are left as they are.

    Args:
        net: A network with the weights of ``file``.
        file: The weights, a file or ``hf-hub:owner/name``.
        classes: The data set's class list, length K.
    """
    path = weights_file(file)
    theirs = published_classes(path) if is_published_file(path) else recorded_classes(path)
    if theirs is None or theirs == tuple(classes) or len(theirs) != len(classes):
        return  # with another number of classes the classifier was not loaded
    if set(theirs) == set(classes):
        _reorder(net, [theirs.index(name) for name in classes])
        return
    reset_classifier(net)
    lost = [name for name in theirs if name not in set(classes)]
    _log.warning(
        "%s: trained for other classes (%s is not in this data set); the classifier starts untrained",
        file,
        ", ".join(lost),
    )


@torch.no_grad()
def _reorder(net: nn.Module, order: list[int]) -> None:
    parameters: Mapping[str, nn.Parameter] = dict(net.named_parameters())
    for name in classifier_names(net):
        parameters[name].copy_(parameters[name][order])
