"""Draw the demo set while torch is being imported, and show a bar from the first second.

Importing torch, timm and Lightning takes some seconds on one core; drawing uses the others.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from heritage.core.progress import Progress
from heritage.demo import demo_folder, only_demo_sets, write_demo_dataset
from heritage.errors import HeritageError

_MODULES = (
    "torch",
    "pytorch_lightning",
    "timm",
    "albumentations",
    "heritage.training.fit",
    "heritage.sweep.driver",
)
"""What a training run imports, the slowest first: each is a step of the bar."""
_DEMO_READER = "heritage.data.readers.demo"


@contextlib.contextmanager
def loaded(cfg: DictConfig) -> Iterator[None]:
    """Import what training needs, and draw the demo set if the run reads it, behind one bar.

    An error while drawing is left to the reader, which draws again and reports it.

    Args:
        cfg: The configuration of ``train``.
    """
    demo = _demo_set(cfg)
    images = 0 if demo is None else int(demo["images"])
    what = "starting" if demo is None else f"starting, drawing {images:,} artefacts"
    share = max(images // len(_MODULES), 1)  # importing is about half of the work
    with Progress(what, share * len(_MODULES) + images, unit="", logs=False) as bar:
        drawing = threading.Thread(target=_draw, args=(demo, bar), daemon=True) if demo else None
        if drawing is not None:
            drawing.start()
        for name in _MODULES:
            importlib.import_module(name)
            bar.advance(share)
        if drawing is not None:
            drawing.join()
    yield


def _demo_set(cfg: DictConfig) -> dict[str, Any] | None:
    """Return root, images, size and seed of the demo set that a run reads and that is not drawn yet."""
    reader: Any = OmegaConf.to_container(cfg.data.reader, resolve=True)
    root = Path(cfg.data.root)
    if reader.get("_target_") != _DEMO_READER or root != Path(cfg.paths.data) / "demo":
        return None
    options = {key: reader[key] for key in ("images", "size", "seed")}
    if demo_folder(root, **options).is_dir() or not only_demo_sets(root):
        return None
    return {"root": demo_folder(root, **options), **options}


def _draw(demo: dict[str, Any], bar: Progress) -> None:
    with contextlib.suppress(HeritageError):
        write_demo_dataset(**demo, progress=lambda done, images: bar.advance(1))
