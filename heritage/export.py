"""`python -m heritage.export`: a trained network to a folder for other runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heritage.cli import command
from heritage.core.terminal import print_line
from heritage.exporters.formats import format_summaries, require_format

if TYPE_CHECKING:
    from omegaconf import DictConfig


def formats() -> dict[str, list[str]]:
    """Return the section of the help that lists the formats."""
    return {"Formats": [f"{name}: {summary}" for name, summary in format_summaries().items()]}


@command("export", help_sections=formats)
def main(cfg: DictConfig) -> Any:
    """Export, and print the comparison with PyTorch and the files."""
    from typing import cast

    from omegaconf import OmegaConf

    from heritage.config.validate import validate, validate_options
    from heritage.runs.checkpoints import find_checkpoints

    validate(cfg, "export")
    options = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    del options["paths"]
    validate_options("heritage.exporters.export.ExportOptions", options)
    require_format(options["format"])
    find_checkpoints(cfg.ckpt)
    from heritage.exporters.export import ExportOptions, export

    result = export(ExportOptions(**options))
    print_line(f"compared with PyTorch on {result.parity}")
    print_line(f"probabilities: {result.decision_rule}")
    for message in result.messages:
        print_line(message)
    for name, size in result.files.items():
        print_line(f"  {name}  {size / 1e6:,.1f} MB" if size >= 1e6 else f"  {name}  {size / 1e3:,.1f} kB")
    print_line(f"exported: {result.folder}")
    return result


if __name__ == "__main__":
    main()
