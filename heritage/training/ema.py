"""Exponential moving average of the weights: evaluated, saved, and tested instead of the last ones."""

from __future__ import annotations

from pytorch_lightning.callbacks import EMAWeightAveraging

from heritage.config.types import Count, Fraction, Natural


class Ema(EMAWeightAveraging):
    """Averages weights and running statistics after each optimiser step (Polyak & Juditsky 1992).

    Validation and checkpoints see the average; training goes on with the weights themselves, which
    the checkpoint keeps beside it.

    Args:
        decay: What the average keeps of itself at each update.
        every_n_steps: Steps between updates.
        from_step: The first step to average; what came before is forgotten.
    """

    def __init__(self, decay: Fraction, every_n_steps: Count, from_step: Natural) -> None:
        super().__init__(
            decay=decay,
            update_every_n_steps=every_n_steps,
            update_starting_at_step=from_step,
            use_buffers=True,
        )
