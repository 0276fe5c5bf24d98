"""Write a project folder: where photographs go, a configuration and the commands."""

from __future__ import annotations

import shlex
from pathlib import Path

from heritage.core.escaping import markdown
from heritage.core.files import write_text
from heritage.core.packaged_weights import EXTRA, place_of_weights
from heritage.core.terminal import own_command
from heritage.curation.next_step import PROJECT_FILE, PROJECT_WORDS
from heritage.errors import ConfigError
from heritage.project.texts import CONFIGURATION, README, WITH_WEIGHTS, WITHOUT_WEIGHTS
from heritage.runs.data_set_name import name_of_folder

NETWORK = "tf_efficientnet_lite0.in1k"
"""The network of a project whose ImageNet weights are available."""
PHOTOGRAPHS = "photographs"


def create_project(folder: Path) -> str:
    """Write a project folder.

    What the network starts from is decided here, once, and written into the configuration: a run never
    depends on whether the hub could be reached when it began.

    Args:
        folder: The folder; it must not exist, or be empty.

    Returns:
        What to print: the commands, and what the network starts from.

    Raises:
        ConfigError: The folder has files, or is a file.
    """
    folder = folder.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            "it exists already", where=folder, remedy="choose another name; nothing is overwritten"
        )
    title = folder.resolve().name
    name = name_of_folder(title)
    found = weights_found()
    start = WITHOUT_WEIGHTS.format(extra=EXTRA) if found is None else WITH_WEIGHTS.format(where=found)
    commands = project_commands(own_command(), name)
    (folder / PHOTOGRAPHS).mkdir(parents=True)
    (folder / PROJECT_FILE).parent.mkdir(parents=True)
    settings = CONFIGURATION.format(name=name, start=start)
    write_text(folder / PROJECT_FILE, settings)
    steps = "\n".join(shlex.join(words) for words in commands)
    of_readme = "\n".join(shlex.join(words) for words in project_commands(["heritage"], name))
    write_text(folder / "README.md", README.format(title=markdown(title), commands=of_readme))
    lines = [f"cd {shlex.quote(str(folder))}", f"# photographs go into {PHOTOGRAPHS}/<class>/", steps]
    weights = (
        "trains from scratch, as no ImageNet weights were found" if found is None else f"starts from {found}"
    )
    remedy = f"; for better results: {EXTRA}, then the two values that {PROJECT_FILE} names"
    remedy = remedy if found is None else ""
    return "\n".join([*lines, "", f"the network {weights}{remedy}"])


def project_commands(start: list[str], name: str) -> list[list[str]]:
    """Return the commands of a project, to be run in its folder: data report, network, page.

    Args:
        start: The words that start heritage.
        name: Name of the data set.
    """
    return [
        [*start, "curate", "raw=class_folders", f"raw.root={PHOTOGRAPHS}", f"name={name}"],
        [*start, "train", *PROJECT_WORDS],
        [*start, "serve", "open=true"],
    ]


def weights_found() -> str | None:
    """Return where the network's ImageNet weights are on this machine; None if they are not here."""
    return place_of_weights(NETWORK)
