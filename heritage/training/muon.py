"""Muon, built from timm's functions, fast also on CPUs without bfloat16 arithmetic.

The `Muon` classes of timm and torch orthogonalise in bfloat16 on every device. A CPU without bfloat16
instructions (AVX-512 BF16, AMX) takes 20 to 50 times as long for it as in float32, and the optimizer step
longer than the network's forward and backward passes. This one uses float32 on the CPU and bfloat16
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from timm.optim.muon import get_lr_scale, zeropower_via_newtonschulz
from timm.optim.nadamw import nadamw
from torch import Tensor

# Five Newton-Schulz steps with different coefficients, as in timm's default
# (leloykun.github.io/ponder/muon-opt-coeffs).
_COEFFICIENTS = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]
_EPS = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for matrices and convolutions, NAdamW for groups with ``use_fallback``.

    Uses Nesterov momentum; a convolution is treated as a matrix (out, in·k·k); updates are scaled to the
    magnitude of AdamW's (Liu et al. 2025, equation 4). The state has the keys of
    `timm.optim.Muon`.

    Args:
        groups: Parameter groups, each with ``use_fallback``.
        lr: Learning rate.
        momentum: Momentum of Muon.
        weight_decay: Decoupled weight decay.
        betas: Decay rates of NAdamW's moment estimates.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, lr: float, momentum: float, weight_decay: float,
        betas: tuple[float, float],
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "betas": betas}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure recomputes the gradients and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["use_fallback"]:
                self._nadamw(group, parameters)
            else:
                for parameter in parameters:
                    self._orthogonal(group, parameter, parameter.grad)
        return loss

    def _orthogonal(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(average, group["momentum"]).flatten(start_dim=1)
        update = zeropower_via_newtonschulz(
            update,
            steps=len(_COEFFICIENTS),
            coefficients=_COEFFICIENTS,
            eps=_EPS,
            dtype=torch.float32 if update.device.type == "cpu" else torch.bfloat16,
        )
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        scale = get_lr_scale(update.shape, "match_rms_adamw")
        parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)

    def _nadamw(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        states = [self.state[parameter] for parameter in parameters]
        for state, parameter in zip(states, parameters, strict=True):
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        nadamw(
            parameters,
            [parameter.grad for parameter in parameters],
            *([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")),
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=_EPS,
            caution=False,
            maximize=False,
            max_lr=None,
        )
