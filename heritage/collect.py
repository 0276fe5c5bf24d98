"""`python -m heritage.collect`: collect photographs from a museum, or report on class rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _report_option(arguments: list[str]) -> list[str]:
    """Convert ``--report`` and ``--report=FILE`` to ``report=…``."""
    words = ["report=records" if word == "--report" else word for word in arguments]
    return [word.replace("--report=", "report=", 1) for word in words]


@command("collect", rewrite=_report_option)
def main(cfg: DictConfig) -> None:
    """Open a museum, then collect or report."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from heritage.collection import ClassRules, CollectionOptions, collection_options, open_run
    from heritage.config.validate import validate

    validate(cfg, "collect")
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    options = collection_options({key: plain[key] for key in CollectionOptions.model_fields})
    # Not with Hydra, which would wrap the error of an invalid rule.
    rules = ClassRules(**{key: value for key, value in plain["collection"].items() if key != "_target_"})
    source, retry_policy = (instantiate(cfg[part], _convert_="all") for part in ("source", "client"))
    with open_run(source, rules, options, retry_policy) as session:
        if options.report is not None:
            session.report()
        else:
            session.collect()


if __name__ == "__main__":
    main()
