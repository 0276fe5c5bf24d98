"""`python -m heritage.export`: a trained network as a folder that others load."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from heritage.cli import command


@command("export")
def main(cfg: DictConfig) -> Any:
    """Export, compare, and say where it is."""
    from typing import cast

    from omegaconf import OmegaConf

    from heritage.config.validate import validate, validate_options
    from heritage.exporters.export import ExportOptions, export

    validate(cfg, "export")
    options = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    del options["paths"]
    validate_options("heritage.exporters.export.ExportOptions", options)
    found = export(ExportOptions(**options))
    print(f"compared with PyTorch on {found.parity}")
    print(f"probabilities: {found.decision_rule}")
    if options["format"] == "safetensors":
        print(
            f'timm loads it: timm.create_model("local-dir:{found.folder}", pretrained=True)'
            if found.timm
            else "timm has no such network: the weights load into heritage.models alone"
        )
    if found.resizing:
        print(f"where timm's transform resizes the pictures: {found.resizing}")
    for name, size in found.files.items():
        print(f"  {name}  {size / 1e6:,.1f} MB" if size >= 1e6 else f"  {name}  {size / 1e3:,.1f} kB")
    print(f"exported: {found.folder}")
    return found


if __name__ == "__main__":
    main()
