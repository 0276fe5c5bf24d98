"""Learning-rate schedules.

Each is called as ``scheduler(optimizer, total_steps)`` and returns what Lightning's
``configure_optimizers`` takes. All multiply every group's own rate, so layer-wise decay holds.
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
    """Keep the rate, after a linear warm-up over the part ``warmup`` of all steps."""
    rise = _warmup_steps(warmup, total_steps)
    return _every_step(LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / rise)))


def cosine(
    optimizer: torch.optim.Optimizer, total_steps: int, *, warmup: Warmup, final: Probability
) -> dict[str, Any]:
    """Half a cosine from the rate to ``final`` times it (Loshchilov & Hutter 2017), after a linear warm-up.

    Args:
        optimizer: What to schedule.
        total_steps: Optimiser steps of the whole run.
        warmup: The part of all steps in which the rate rises from near 0.
        final: What is left of the rate at the end.
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
    """One cycle (Smith & Topin 2018): rise from ``start`` times the rate, fall to ``final`` times it.

    Momentum moves the other way.
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
    """Multiply the rate by ``factor`` when validation macro-F1 has not risen for ``patience`` epochs."""
    # eps: torch would leave the small rates of the first layers alone, and their ratios would be lost
    scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=factor, patience=patience, eps=0)
    # not strict: a run that ends by max_steps, in mid-epoch, has no figure to look at
    return {"scheduler": scheduler, "interval": "epoch", "monitor": "val/macro_f1", "strict": False}


def _warmup_steps(warmup: float, total_steps: int) -> int:
    return max(1, round(warmup * total_steps))


def _every_step(scheduler: Any) -> dict[str, Any]:
    return {"scheduler": scheduler, "interval": "step"}
