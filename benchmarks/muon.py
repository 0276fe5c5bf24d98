"""Duration of a step of Muon relative to the network's passes and to timm's Muon.

    python -m benchmarks.muon                                  vit at 64 px, resnet10t at 96 px
    python -m benchmarks.muon --model vit --size 224 --batch 64

The same network, gradients and groups; rounds are interleaved and figures are medians of one process, so
that only the ratios mean anything on a shared machine. timm's Muon orthogonalises in bfloat16 everywhere.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import timm.optim.muon
import torch
from torch import nn

from benchmarks.step import build
from heritage.training.optimizers import adam, muon

_RATES: dict[str, Any] = {"lr": 1e-3, "weight_decay": 0.05, "layer_decay": None}
_MUON: dict[str, Any] = {**_RATES, "momentum": 0.95, "betas": [0.9, 0.95]}
_ADAMW: dict[str, Any] = {**_RATES, "decoupled_weight_decay": True, "betas": [0.9, 0.999], "eps": 1e-8}


def timms(net: nn.Module) -> torch.optim.Optimizer:
    """Return timm's Muon with the groups of ours."""
    groups = [
        {key: group[key] for key in ("params", "lr", "weight_decay", "use_fallback")}
        for group in muon(net, **_MUON).param_groups
    ]
    optimizer: torch.optim.Optimizer = timm.optim.muon.Muon(groups, momentum=0.95, nesterov=True)
    return optimizer


def passes(net: nn.Module, size: int, batch: int, device: torch.device) -> Callable[[], None]:
    """Return what computes the gradients of a batch of noise."""
    images, targets = torch.randn(batch, 3, size, size, device=device), torch.zeros(batch, dtype=torch.int64)
    images, targets = images.contiguous(memory_format=torch.channels_last), targets.to(device)

    def run() -> None:
        net.zero_grad()
        loss = nn.functional.cross_entropy(net(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]

    return run


def measure(model: str, size: int, batch: int, rounds: int) -> dict[str, float]:
    """Return the median seconds of the passes and of a step of each optimiser."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = build(model, size).to(device).train()
    jobs: dict[str, Callable[[], object]] = {
        "passes": passes(net, size, batch, device),
        "muon": muon(net, **_MUON).step,
        "timm": timms(net).step,
        "adamw": adam(net, **_ADAMW).step,
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(seen[1:]) for name, seen in times.items()}


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="may be given more than once")
    parser.add_argument("--size", type=int, help="pixels a side; 64 for vit, else 96")
    parser.add_argument("--batch", type=int, help="images; 32 for vit, else 64")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for model in options.model or ["vit", "resnet10t"]:
        size = options.size or (64 if model == "vit" else 96)
        batch = options.batch or (32 if model == "vit" else 64)
        seen = measure(model, size, batch, options.rounds)
        print(f"{model}, {size} px, {batch} images, {torch.get_num_threads()} threads: ", end="")
        print(", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in seen.items()))
        step = seen["passes"] + seen["muon"]
        share, peer, adamw = seen["muon"] / step, seen["timm"] / seen["muon"], seen["passes"] + seen["adamw"]
        print(f"  Muon: {share:.0%} of a training step, which takes {step / adamw:.2f} times one with AdamW; "
              f"timm's Muon takes {peer:.1f} times as long as ours")  # fmt: skip


if __name__ == "__main__":
    main()
