"""`python -m heritage.explain`: where a trained network looks, and whether the maps can be believed."""

from __future__ import annotations

from omegaconf import DictConfig

from heritage.cli import command


@command("explain")
def main(cfg: DictConfig) -> None:
    """Explain, and say where the gallery lies."""
    from heritage.config.validate import validate

    validate(cfg, "explain")
    from rich.console import Console

    from heritage.explanation.explain import explain

    explain(cfg, Console())


if __name__ == "__main__":
    main()
