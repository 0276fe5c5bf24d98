"""`python -m heritage.publish`: a trained network or a data set to a Hugging Face hub, or to an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _data_folder(arguments: list[str]) -> list[str]:
    """Convert ``data=<folder>`` to ``data.root=<folder>``."""
    from heritage.config.overrides import renamed_keys

    return renamed_keys("publish", arguments)


@command("publish", rewrite=_data_folder)
def main(cfg: DictConfig) -> Any:
    """Publish, and print what went where."""
    from pathlib import Path
    from typing import cast

    from omegaconf import OmegaConf

    from heritage.config.validate import validate, validate_options
    from heritage.core.image_folders import SourceKeys, require_folder
    from heritage.publishing.options import PublishOptions
    from heritage.runs.checkpoints import find_checkpoint

    validate(cfg, "publish")
    plain = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    del plain["paths"]
    validate_options("heritage.publishing.options.PublishOptions", plain)
    options = PublishOptions(**plain)
    options.check()
    if options.ckpt is not None:
        find_checkpoint(options.ckpt)
    elif options.root is not None:
        require_folder(Path(options.root), SourceKeys(group="data", root="data", reader="data"))
    from heritage.publishing.publish import publish

    return publish(options)


if __name__ == "__main__":
    main()
