"""The command to run after a build, as the summary prints it."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from heritage.core.labels import class_option, hydra_word
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.terminal import own_command

PROJECT_FILE = Path("conf", "experiment", "project.yaml")
"""The configuration that `heritage new` writes into a project."""
PROJECT_WORDS = ("--config-dir", "conf", "+experiment=project")


def next_step(kept: Manifest, out: Path) -> str:
    """Return the command that trains on a data set, or what the data set lacks for it.

    Args:
        kept: The data set's manifest.
        out: Its folder.
    """
    with_images = {name for name, count in kept.counts().items() if count}
    rows = list(zip(kept.column("class"), kept.column("split"), strict=True))
    in_all = {name for name in with_images if all((name, split) in set(rows) for split in SPLITS)}
    if len(in_all) < 2:
        return (
            f"next: add photographs; training needs two classes with images in {', '.join(SPLITS)}, "
            f"and {len(in_all)} has them"
        )
    if _is_of_project(out):
        words = [*own_command(), "train", *PROJECT_WORDS]
    else:
        words = [*own_command(), "train", "data=folder", f"data.root={hydra_word(str(out))}"]
    if in_all != with_images:
        words.append(class_option([name for name in kept.classes if name in in_all]))
    return f"next: {shlex.join(words)}"


def _is_of_project(out: Path) -> bool:
    """Return whether the working folder is a project, as `heritage new` makes it, for this data set."""
    try:
        root = yaml.safe_load(PROJECT_FILE.read_text(encoding="utf-8"))["data"]["root"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return False  # no project, or one that the user has changed
    return bool(root == f"${{paths.data}}/{out.name}")
