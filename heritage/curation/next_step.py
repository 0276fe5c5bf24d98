"""The command to run after a build, as the summary prints it."""

from __future__ import annotations

import shlex
from pathlib import Path

from heritage.core.labels import class_option, hydra_word
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.terminal import own_command


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
    words = [*own_command(), "train", "data=folder", f"data.root={hydra_word(str(out))}"]
    if in_all != with_images:
        words.append(class_option([name for name in kept.classes if name in in_all]))
    return f"next: {shlex.join(words)}"
