"""Optimizers against torch's and timm's own, one step on a small Vision Transformer."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import timm.optim.muon
import torch
from timm.optim import NAdamW
from torch import nn

from heritage.models.finetune import parameter_groups
from heritage.models.layers import classifier_names, without_weight_decay
from heritage.models.vit import VisionTransformer
from heritage.training.optimizers import muon

LR, DECAY, MOMENTUM, BETAS = 1e-2, 0.1, 0.9, [0.9, 0.95]


def network() -> nn.Module:
    torch.manual_seed(0)
    net = VisionTransformer(
        image_size=16, patch_size=4, width=16, depth=1, heads=2, mlp_ratio=2.0, num_classes=3, pool="token",
        positions="learned", stem="conv", dropout=0.0, drop_path=0.0, layer_scale=0.1,
    )  # fmt: skip
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
        parameter.grad = torch.randn_like(parameter)
    return net


def stepped(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    optimizer.step()
    return {name: parameter.detach() for name, parameter in net.named_parameters()}


def test_muon_equals_torch_for_matrices_and_nadamw_for_the_rest() -> None:
    net = network()
    start = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    options: dict[str, Any] = {"momentum": MOMENTUM, "weight_decay": DECAY, "betas": BETAS}
    actual = stepped(net, muon(net, lr=LR, layer_decay=None, **options))

    net = network()
    rest = without_weight_decay(net) | classifier_names(net)
    groups = parameter_groups(net, lr=LR, weight_decay=DECAY, layer_decay=None)
    expected = stepped(net, NAdamW(groups, betas=(BETAS[0], BETAS[1]), eps=1e-7))
    assert {"pos_embed", "cls_token", "head.weight", "head.bias", "norm.weight"} <= rest
    for name in rest:
        torch.testing.assert_close(actual[name], expected[name], msg=name)

    net = network()
    matrices = [p for name, p in net.named_parameters() if name not in rest and p.ndim == 2]
    assert len(matrices) == 4
    expected = stepped(net, torch.optim.Muon(matrices, lr=LR, weight_decay=DECAY, momentum=MOMENTUM,
                                             nesterov=True, adjust_lr_fn="match_rms_adamw"))  # fmt: skip
    for name, parameter in net.named_parameters():
        if name in rest:
            continue
        moved = actual[name] - start[name]
        assert moved.abs().max() > 0
        if parameter.ndim == 2:  # torch's takes no convolutions; both orthogonalise roughly, in bf16
            desired = expected[name] - start[name]
            assert torch.cosine_similarity(moved.flatten(), desired.flatten(), dim=0) > 0.97, name
            # its five steps of Newton-Schulz have one set of coefficients, timm's have five and come closer
            assert moved.norm().item() == pytest.approx(desired.norm().item(), rel=0.15), name


def test_muon_keeps_layer_wise_rates() -> None:
    net = network()
    optimizer = muon(net, lr=LR, momentum=MOMENTUM, weight_decay=DECAY, betas=BETAS, layer_decay=0.5)
    rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, net.parameters()))
    assert max(rates.values()) == LR
    assert min(rates.values()) == LR * 0.5 ** (len({name[:8] for name in rates}) - 1)


Stepped = tuple[nn.Module, torch.optim.Optimizer]


def our_muon_and_timms() -> tuple[Stepped, Stepped]:
    ours, theirs = network(), network()
    optimizer = muon(ours, lr=LR, momentum=MOMENTUM, weight_decay=DECAY, betas=BETAS, layer_decay=None)
    names = {id(parameter): name for name, parameter in ours.named_parameters()}
    others = dict(theirs.named_parameters())
    groups = [
        {**group, "params": [others[names[id(parameter)]] for parameter in group["params"]]}
        for group in optimizer.param_groups
    ]
    return (ours, optimizer), (theirs, timm.optim.muon.Muon(groups, nesterov=True))


def test_muon_on_the_cpu_equals_timm_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 a CPU without instructions for it takes longer for a step of Muon than for the network."""
    (ours, optimizer), (theirs, timms) = our_muon_and_timms()
    exact = functools.partial(timm.optim.muon.zeropower_via_newtonschulz, dtype=torch.float64)
    monkeypatch.setattr(timm.optim.muon, "zeropower_via_newtonschulz", exact)
    for _ in range(3):
        actual, desired = stepped(ours, optimizer), stepped(theirs, timms)
    for name in actual:
        torch.testing.assert_close(actual[name], desired[name], msg=name)


def test_muon_loads_a_checkpoint_of_timm() -> None:
    (ours, optimizer), (theirs, timms) = our_muon_and_timms()
    stepped(theirs, timms)
    ours.load_state_dict(theirs.state_dict())
    optimizer.load_state_dict(timms.state_dict())
    actual, desired = stepped(ours, optimizer), stepped(theirs, timms)
    for name in actual:  # timm's is in bfloat16
        torch.testing.assert_close(actual[name], desired[name], rtol=0.02, atol=2e-3, msg=name)
