"""`python -m heritage.weights`: download pretrained weights into the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command
from heritage.core.terminal import print_line

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("weights")
def main(cfg: DictConfig) -> None:
    """Download the file and print its path."""
    from heritage.config.validate import validate

    validate(cfg, "weights")
    from heritage.core.hub import is_hub_address
    from heritage.errors import ConfigError
    from heritage.models.hub import fetch_weights, weights_file
    from heritage.runs.published import fetch_published, is_published_file

    if is_hub_address(weights := cfg.model.get("weights")):
        file = weights_file(weights)
        if is_published_file(file):
            file = fetch_published(weights)  # all that ckpt= needs
        print_line(f"{weights}: {file}")
        return
    name = cfg.model.get("name")
    if name is None:
        raise ConfigError(
            "this network has no pretrained weights", where="model", remedy="choose one of timm's"
        )
    print_line(f"{name}: {fetch_weights(name)}")


if __name__ == "__main__":
    main()
