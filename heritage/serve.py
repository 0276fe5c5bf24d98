"""`python -m heritage.serve`: a web page and an API that answer for photographs."""

from __future__ import annotations

from omegaconf import DictConfig

from heritage.commands import command


@command("serve")
def main(cfg: DictConfig) -> None:
    """Serve until Ctrl-C."""
    from typing import Any, cast

    from omegaconf import OmegaConf

    from heritage.config.validate import validate, validate_options
    from heritage.serving.limits import Limits
    from heritage.serving.server import Serving, serve

    validate(cfg, "serve")
    options = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    del options["paths"]
    validate_options("heritage.serving.server.Serving", options)
    limits = {name: value for name, value in options["limits"].items() if name != "_target_"}
    serve(Serving(**options), Limits(**limits))


if __name__ == "__main__":
    main()
