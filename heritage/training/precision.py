"""Which number format a run computes in, chosen by rule so that the same machine chooses alike.

Measured on CPUs with AVX-512 and bf16: plain convolutions run two to three times as fast in bf16,
networks of depthwise convolutions gain nothing from it and lose accuracy of the sums. Transformers gain
1.2 to 1.7 times: torch's fused attention alone takes 1.2 to 1.8 times as long in bf16 as in float32, the
linear layers around it win more than that.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

# Weights in half or double precision are not offered: images are normalised to float32.
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


def choose_precision(wanted: Precision, net: nn.Module, accelerator: str) -> str:
    """Return ``wanted``, or what ``auto`` means for this network on this machine.

    Args:
        wanted: The configured precision.
        net: The network.
        accelerator: ``cpu``, ``cuda`` or another of torch's device types.
    """
    if wanted != "auto":
        return wanted
    if accelerator == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if accelerator == "cpu" and _cpu_has_bf16() and not _is_depthwise(net):
        return "bf16-mixed"
    return "32-true"


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001  there is no public way to ask


def _is_depthwise(net: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in net.modules())
