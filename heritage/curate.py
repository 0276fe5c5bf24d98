"""`python -m heritage.curate`: make a data set of raw photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command
from heritage.core.terminal import print_text

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("curate")
def main(cfg: DictConfig) -> None:
    """Curate, and print a summary and the next command."""
    from pathlib import Path
    from typing import Any, cast

    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from heritage.config.validate import validate
    from heritage.runs.input_paths import require_inputs

    validate(cfg, "curate")
    require_inputs(cfg)
    from heritage.core.processes import available_cores
    from heritage.curation.build import curate, summary
    from heritage.curation.next_step import next_step
    from heritage.curation.options import CurationOptions

    plain = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    rules = {
        part: instantiate(plain[part], _convert_="all")
        for part in ("cleaning", "duplicates", "groups", "split")
    }
    options = CurationOptions(
        out=Path(cfg.out),
        classes=plain["classes"],
        overrides=None if cfg.overrides is None else Path(cfg.overrides),
        verdicts=None if cfg.verdicts is None else Path(cfg.verdicts),
        resize=instantiate(plain["resize"]),
        pack=cfg.pack,
        workers=available_cores() if cfg.workers is None else cfg.workers,
        configuration={key: value for key, value in plain.items() if key not in ("paths", "workers", "out")},
        **rules,
    )
    result = curate(instantiate(plain["raw"], _convert_="all")(), options)
    print_text(summary(result, options.out))
    print_text(next_step(result.kept, options.out))


if __name__ == "__main__":
    main()
