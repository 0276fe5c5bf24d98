"""Schedules keep the ratios of layer-wise rates."""

from __future__ import annotations

import torch
from torch import nn

from heritage.training.schedules import plateau


def test_a_plateau_keeps_the_ratios_of_the_smallest_rates() -> None:
    first, last = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    groups = [{"params": [first], "lr": 1e-3 * 0.65**24}, {"params": [last], "lr": 1e-3}]
    optimizer = torch.optim.SGD(groups)
    before = optimizer.param_groups[0]["lr"] / optimizer.param_groups[1]["lr"]
    scheduler = plateau(optimizer, 10, factor=0.1, patience=1)["scheduler"]
    for _ in range(12):
        scheduler.step(0.5)
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[1] < 1e-6
    torch.testing.assert_close(rates[0] / rates[1], before)
