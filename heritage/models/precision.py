"""Choose the precision of a run by a fixed rule, so that the same machine always makes the same choice.

Measured on CPUs with AVX-512 and bf16: plain convolutions are two to three times as fast in bf16; networks of
depthwise convolutions are no faster, and less exact. Transformers are 1.2 to 1.7 times as fast: fused
attention takes 1.2 to 1.8 times as long in bf16 as in float32, but the linear layers gain more than that.
"""

from __future__ import annotations

import torch
from torch import nn

from heritage.core.types import Precision

__all__ = ["Precision", "choose_precision"]


def choose_precision(precision: Precision, net: nn.Module, accelerator: str) -> str:
    """Return the precision, with ``auto`` resolved for this network and machine.

    Args:
        precision: The configured precision.
        net: The network.
        accelerator: ``cpu``, ``cuda`` or another device type of torch.
    """
    if precision != "auto":
        return precision
    if accelerator == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if accelerator == "cpu" and _cpu_has_bf16() and not _is_depthwise(net):
        return "bf16-mixed"
    return "32-true"


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001  there is no public function


def _is_depthwise(net: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in net.modules())
