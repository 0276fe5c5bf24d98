"""A classifier from a checkpoint of ours meets a data set: the same classes, in another order, or others."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from heritage.core.taxonomy import CLASSES
from heritage.models.backbone import timm_network
from heritage.models.classes import match_classifier
from tests.conftest import COUNTS, TINY, Command, write_tree

NAME = "test_resnet.r160_in1k"
OURS = ["egyptian", "islam", "asian"]


def network(weights: Path | str, num_classes: int = 3, name: str = NAME) -> Any:
    return timm_network(
        name=name,
        weights=str(weights),
        drop_rate=None,
        drop_path_rate=None,
        grad_checkpointing=False,
        num_classes=num_classes,
        image_size=64,
    )


def checkpoint(path: Path, classes: list[str], name: str = NAME) -> Path:
    """A checkpoint as training writes it, of a network that outputs in the order of ``classes``."""
    state = {f"net.{key}": value for key, value in network("none", len(classes), name).state_dict().items()}
    torch.save({"state_dict": state, "heritage": {"classes": classes}, "epoch": 0}, path)
    return path


def outputs(net: Any) -> Tensor:
    with torch.no_grad():
        logits: Tensor = net.eval()(torch.ones(1, 3, 64, 64))
    return logits[0]


def test_the_same_classes_keep_their_classifier(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "best.ckpt", OURS)
    net = network(file)
    before = outputs(net)
    match_classifier(net, str(file), OURS)
    assert torch.equal(outputs(net), before)


@pytest.mark.parametrize("name", [NAME, "deit_tiny_distilled_patch16_224.fb_in1k"])
def test_another_order_permutes_the_outputs(tmp_path: Path, name: str) -> None:
    file = checkpoint(tmp_path / "best.ckpt", OURS, name)
    net = network(file, name=name)
    before = dict(zip(OURS, outputs(net).tolist(), strict=True))
    order = ["asian", "egyptian", "islam"]
    match_classifier(net, str(file), order)
    assert dict(zip(order, outputs(net).tolist(), strict=True)) == pytest.approx(before, abs=1e-6)


def test_other_classes_reset_the_classifier_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = checkpoint(tmp_path / "best.ckpt", OURS)
    net = network(file)
    features = net.forward_features(torch.ones(1, 3, 64, 64))
    before = net.get_classifier().weight.detach().clone()
    with caplog.at_level(logging.WARNING):
        match_classifier(net, str(file), ["egyptian", "orient", "byzantium"])
    assert not torch.equal(net.get_classifier().weight, before)
    assert torch.equal(net.forward_features(torch.ones(1, 3, 64, 64)), features)
    assert "islam, asian" in caplog.text
    assert "starts untrained" in caplog.text


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_without_class_names_are_left_alone(tmp_path: Path, suffix: str) -> None:
    state = network("none").state_dict()
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(state, file, _use_new_zipfile_serialization=False)
    else:
        safetensors.torch.save_file(state, file)
    net = network(file)
    before = outputs(net)
    match_classifier(net, str(file), ["bowls", "plates", "cups"])
    assert torch.equal(outputs(net), before)


def test_the_command_warns_of_other_classes(heritage: Command, tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "best.ckpt", list(CLASSES))
    counts = dict(COUNTS)
    counts["celtic"] = counts.pop("islam")
    root = write_tree(tmp_path / "photographs", counts)
    outcome = heritage(
        "train", *TINY, f"data.root={root}", f"data.classes=[{','.join(counts)}]",
        "model=timm", f"model.name={NAME}", f"model.weights={file}", "trainer.fast_dev_run=true",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "trained for other classes (islam is not in this data set)" in outcome.out
    assert "starts untrained" in outcome.out
