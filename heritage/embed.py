"""`python -m heritage.embed`: a network's features of a data set, computed once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("embed")
def main(cfg: DictConfig) -> Any:
    """Compute the features that are missing, and print where they are."""
    from heritage.config.validate import validate
    from heritage.errors import ConfigError

    validate(cfg, "embed")
    from heritage.features.shards import parse_shard
    from heritage.runs.checkpoints import find_checkpoint
    from heritage.runs.input_paths import require_inputs

    if (cfg.ckpt is None) == (cfg.model is None):
        given = "neither" if cfg.ckpt is None else "both"
        raise ConfigError(
            f"{given} of ckpt and model is given",
            where="heritage embed",
            remedy="give ckpt=<run folder>, or model=<name> data=<option>",
        )
    if cfg.model is not None and "_target_" not in cfg.data:
        raise ConfigError(
            "no data set", where="data", remedy="give data=folder data.root=…, or another option of the group"
        )
    parse_shard(cfg.shard)
    if cfg.ckpt is not None:
        find_checkpoint(cfg.ckpt)
    require_inputs(cfg)
    from heritage.core.console import Console
    from heritage.inference.embed import embed

    return embed(cfg, Console())


if __name__ == "__main__":
    main()
