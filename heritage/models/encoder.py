"""Base class of the package's Vision Transformers: blocks, classifier, loading of weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from heritage.models.network import NONE, InputSpec
from heritage.models.weights import load_weights


class Encoder(nn.Module):
    """A network whose tokens pass through ``blocks`` and whose classifier is the linear layer ``head``.

    Attributes:
        blocks: The blocks, each (B, N, D) → (B, N, D).
        head: The classifier.
        input_spec: The images it expects.
        grad_checkpointing: Recompute each block in the backward pass instead of storing its activations.
    """

    blocks: nn.ModuleList
    head: nn.Linear
    input_spec: InputSpec

    def __init__(self) -> None:
        super().__init__()
        self.grad_checkpointing = False

    def through_blocks(self, x: Tensor) -> Tensor:
        """Pass tokens (B, N, D) through all blocks."""
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.grad_checkpointing else block(x)
        return x

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.head

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Store the activations of one block at a time, for about a third more computation."""
        self.grad_checkpointing = enable

    def prepare(self, weights: str, grad_checkpointing: bool) -> None:
        """Load ``weights``, a file or ``none``, and set gradient checkpointing.

        Raises:
            WeightsError: The file cannot be read or does not fit.
        """
        if weights != NONE:
            load_weights(self, weights)
        self.set_grad_checkpointing(grad_checkpointing)
