"""`python -m heritage.new`: a folder for one's own photographs, with a configuration and the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command
from heritage.core.terminal import print_text

if TYPE_CHECKING:
    from omegaconf import DictConfig


def with_folder(arguments: list[str]) -> list[str]:
    """Return a command line in which the name is an override: ``my-project`` → ``folder=my-project``."""
    from heritage.core.labels import hydra_word

    if any(word.startswith("folder=") for word in arguments):
        return arguments
    words = list(arguments)
    for place, word in enumerate(words):
        if word[:1] not in ("-", "+", "~") and not word.startswith(("paths.", "hydra.")):
            words[place] = f"folder={hydra_word(word)}"
            break
    return words


@command("new", rewrite=with_folder)
def main(cfg: DictConfig) -> None:
    """Write the folder, and print the commands."""
    from pathlib import Path

    from heritage.config.validate import validate

    validate(cfg, "new")

    from heritage.project.create import create_project

    print_text(create_project(Path(str(cfg.folder))))


if __name__ == "__main__":
    main()
