"""Curate a folder in a test, with the options of ``conf/curate.yaml``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import OmegaConf

from heritage.config.register import register
from heritage.config.validate import validate
from heritage.core.files import config_dir
from heritage.curation import build
from heritage.curation.build import curate
from heritage.curation.options import CurationOptions
from heritage.curation.output import CurationResult

Curate = Callable[..., CurationResult]


def plan_of(out: Path, *settings: str) -> tuple[Any, CurationOptions]:
    """Return the reader of the source and the plan, composed as the command does."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose(
            "curate",
            ["workers=1", "name=test", f"out={out}", f"paths.run={out}", "resize.size=64", *settings],
        )
    validate(cfg, "curate")
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    parts = {
        part: instantiate(plain[part], _convert_="all")
        for part in ("cleaning", "duplicates", "groups", "split")
    }
    overrides = None if plain["overrides"] is None else Path(plain["overrides"])
    kept = {key: value for key, value in plain.items() if key not in ("paths", "workers", "out")}
    plan = CurationOptions(
        out, plain["classes"], overrides, resize=instantiate(plain["resize"]), pack=plain["pack"],
        workers=plain["workers"], configuration=kept, **parts,
    )  # fmt: skip
    return instantiate(plain["raw"], _convert_="all"), plan


@pytest.fixture
def curate_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Curate:
    """Return a function that curates a folder into ``tmp_path/out`` with some settings, without figures."""
    monkeypatch.setattr(build, "write_figures", lambda *_: None)

    def run(root: Path, *settings: str, out: Path | None = None) -> CurationResult:
        reader, plan = plan_of(out or tmp_path / "out", f"raw.root={root}", *settings)
        return curate(reader(), plan)

    return run
