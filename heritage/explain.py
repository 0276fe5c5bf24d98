"""`python -m heritage.explain`: saliency maps of a trained network, and tests of their faithfulness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("explain")
def main(cfg: DictConfig) -> None:
    """Draw saliency maps, write the page and print its path."""
    from heritage.config.validate import validate
    from heritage.runs.checkpoints import find_checkpoint

    validate(cfg, "explain")
    find_checkpoint(cfg.ckpt)
    from heritage.core.console import Console
    from heritage.explanation.explain import explain

    explain(cfg, Console())


if __name__ == "__main__":
    main()
