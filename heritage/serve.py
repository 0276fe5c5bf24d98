"""`python -m heritage.serve`: a web page and a JSON API for a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("serve")
def main(cfg: DictConfig) -> None:
    """Serve until Ctrl-C."""
    from pathlib import Path
    from typing import Any, cast

    from omegaconf import OmegaConf

    from heritage.config.validate import validate, validate_options
    from heritage.runs.checkpoints import NEWEST, find_checkpoints, newest_run

    validate(cfg, "serve")
    options = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    del options["paths"]
    validate_options("heritage.server.server.ServeOptions", options)
    if options["ckpt"] == NEWEST:
        options["ckpt"] = str(newest_run(Path(cfg.paths.outputs) / "train"))
    options["outputs"] = cfg.paths.outputs
    find_checkpoints(options["ckpt"])
    from heritage.server.limits import Limits
    from heritage.server.server import ServeOptions, serve

    limits = {name: value for name, value in options["limits"].items() if name != "_target_"}
    serve(ServeOptions(**options), Limits(**limits))


if __name__ == "__main__":
    main()
