"""Learning-rate schedules.

Each is called as ``scheduler(optimizer, total_steps)`` and returns the scheduler configuration of Lightning's
``configure_optimizers``. All scale the rates of the parameter groups, so the ratios of layer-wise decay are
kept.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from heritage.core.types import Fraction, PositiveInt, Probability

Warmup = Annotated[float, Field(ge=0, lt=1)]


def constant(optimizer: torch.optim.Optimizer, total_steps: int, *, warmup: Warmup) -> dict[str, Any]:
    """Keep the rate constant after a linear warm-up.

    Args:
        optimizer: The optimizer.
        total_steps: Optimizer steps of the whole run.
        warmup: Fraction of the steps over which the rate increases from near 0.
    """
    rise = _warmup_steps(warmup, total_steps)
    return _every_step(LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / rise)))


def cosine(
    optimizer: torch.optim.Optimizer, total_steps: int, *, warmup: Warmup, final: Probability
) -> dict[str, Any]:
    """Cosine decay of the rate to ``final`` times it (Loshchilov & Hutter 2017), after a linear warm-up.

    Args:
        optimizer: The optimizer.
        total_steps: Optimizer steps of the whole run.
        warmup: Fraction of the steps over which the rate increases from near 0.
        final: Final rate over the initial one.
    """
    rise = _warmup_steps(warmup, total_steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        progress = (step - rise) / max(1, total_steps - rise)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return _every_step(LambdaLR(optimizer, factor))


def one_cycle(
    optimizer: torch.optim.Optimizer, total_steps: int, *, warmup: Fraction, start: Fraction, final: Fraction
) -> dict[str, Any]:
    """One-cycle schedule (Smith & Topin 2018); momentum is cycled inversely to the rate.

    Args:
        optimizer: The optimizer.
        total_steps: Optimizer steps of the whole run.
        warmup: Fraction of the steps over which the rate increases.
        start: Initial rate over the maximum.
        final: Final rate over the maximum.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    cycle = OneCycleLR(
        optimizer,
        max_lr=rates,
        total_steps=max(2, total_steps),
        pct_start=warmup,
        div_factor=1 / start,
        final_div_factor=start / final,
    )
    return _every_step(cycle)


def plateau(
    optimizer: torch.optim.Optimizer, total_steps: int, *, factor: Fraction, patience: PositiveInt
) -> dict[str, Any]:
    """Multiply the rate by ``factor`` when validation macro-F1 has not improved for ``patience`` epochs."""
    # eps: torch would not reduce the small rates of the first layers, which changes the ratios
    scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=factor, patience=patience, eps=0)
    # not strict: a run that ends in mid-epoch by max_steps may have no validation yet
    return {"scheduler": scheduler, "interval": "epoch", "monitor": "val/macro_f1", "strict": False}


def _warmup_steps(warmup: float, total_steps: int) -> int:
    return max(1, round(warmup * total_steps))


def _every_step(scheduler: Any) -> dict[str, Any]:
    return {"scheduler": scheduler, "interval": "step"}
