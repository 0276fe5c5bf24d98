"""`python -m heritage.predict`: a trained network's predictions for any images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("predict")
def main(cfg: DictConfig) -> Any:
    """Predict, and print the predictions and the path of their table."""
    from typing import cast

    from omegaconf import OmegaConf

    from heritage.config.validate import validate, validate_options
    from heritage.runs.checkpoints import find_checkpoints
    from heritage.runs.input_paths import require_inputs

    validate(cfg, "predict")
    options = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    del options["paths"]
    validate_options("heritage.prediction.predict.PredictOptions", options)
    find_checkpoints(cfg.ckpt)
    require_inputs(cfg)
    from heritage.core.console import Console
    from heritage.prediction.predict import PredictOptions, predict, show

    result = predict(PredictOptions(**options))
    show(result, Console())
    return result


if __name__ == "__main__":
    main()
