"""`python -m heritage.train`: train a classifier and report on its test split."""

from __future__ import annotations

from omegaconf import DictConfig

from heritage.cli import command


@command("train")
def main(cfg: DictConfig) -> None:
    """Train, test, report."""
    from heritage.sweep.launch import start

    start(cfg)


if __name__ == "__main__":
    main()
