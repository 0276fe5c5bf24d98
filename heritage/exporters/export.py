"""From a checkpoint to a folder that others load: network, description and model card."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from heritage.errors import ConfigError
from heritage.exporters.model_card import CARD, model_card
from heritage.exporters.onnx import Asks, open_onnx, write_onnx
from heritage.exporters.parity import Parity, check_parity, pictures_for_parity, resizing_parity
from heritage.exporters.portable import Portable, description, portable
from heritage.exporters.timm import ask_with_own_transform, open_timm, open_weights, write_timm
from heritage.exporters.torch_export import open_program, write_program
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.inference.test_set import try_run_manifest
from heritage.prediction.decision_rule import read_decision_rule

ExportFormat = Literal["onnx", "torch_export", "safetensors"]
ABOUT = "heritage.json"

_MARKS = {ABOUT, CARD}


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, how, and where it goes.

    Attributes:
        ckpt: A checkpoint or run folder.
        format: What others load.
        out: The folder; None makes one named after the run below ``folder``.
        folder: Where folders without a name go.
        licence: Of the weights, as an SPDX identifier; None leaves it open.
        pictures: What to compare on (`heritage.prediction.inputs.find_inputs`); None takes the test split.
        overwrite: Whether an earlier export in ``out`` may be replaced.
    """

    ckpt: str
    format: ExportFormat
    out: str | None
    folder: str
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]+$")] | None
    pictures: str | None
    overwrite: bool


@dataclass(frozen=True)
class ExportResult:
    """What `export` did.

    Attributes:
        folder: Where it is.
        files: Names in it, with their sizes in bytes.
        parity: How it compared.
        timm: Whether timm loads it.
        decision_rule: Its calibration, in words.
        resizing: What changes where timm resizes the pictures; None where that was not asked.
    """

    folder: Path
    files: dict[str, int]
    parity: Parity
    timm: bool
    decision_rule: str
    resizing: str | None


def export(wanted: ExportOptions) -> ExportResult:
    """Export a network, compare it with PyTorch, and only then put it in its place.

    Raises:
        HeritageError: Whatever keeps it from being exported, or from saying the same.
    """
    trained = load_checkpoint(wanted.ckpt)
    decision_rule = read_decision_rule(trained.folder)
    out = _place(wanted, trained)
    manifest = try_run_manifest(trained)
    sample = pictures_for_parity(trained, manifest, wanted.pictures)
    about = description(trained, decision_rule, wanted.licence)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        folder.mkdir()
        model = portable(trained, decision_rule)
        asks, timm = _write(wanted, trained, model, about, folder)
        parity = check_parity(model, asks, sample.source, sample.images)
        resizing = None
        if timm and sample.files:
            resizing = resizing_parity(model, sample, ask_with_own_transform(folder, sample.files))
        (folder / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        card = model_card(
            trained,
            decision_rule,
            manifest,
            form=wanted.format,
            timm=timm,
            licence=wanted.licence,
            parity=parity,
            resizing=resizing,
        )
        (folder / CARD).write_text(card, encoding="utf-8")
        for path in folder.iterdir():
            path.chmod(0o666 & folder.stat().st_mode)  # some writers make files that only their owner reads
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    files = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    return ExportResult(out, files, parity, timm, str(decision_rule), resizing)


def _write(
    wanted: ExportOptions, trained: TrainedClassifier, model: Portable, about: dict[str, Any], folder: Path
) -> tuple[Asks, bool]:
    """Write the network; return how to ask what was written, and whether timm loads it."""
    size = trained.image_size
    if wanted.format == "onnx":
        write_onnx(model, size, about, folder)
        return open_onnx(folder), False
    if wanted.format == "torch_export":
        write_program(model, size, about, folder)
        return open_program(folder), False
    timm = write_timm(trained, wanted.licence, folder)
    return (open_timm(folder) if timm else open_weights(trained, folder)), timm


def _place(wanted: ExportOptions, trained: TrainedClassifier) -> Path:
    if wanted.out is not None:
        out = Path(wanted.out).expanduser()
    else:
        run = trained.folder.resolve().name if trained.folder else trained.file.stem
        out = Path(wanted.folder) / f"{run}-{wanted.format}"
    if not out.exists():
        return out
    ours = out.is_dir() and {path.name for path in out.iterdir()} >= _MARKS
    if not wanted.overwrite or not ours:
        remedy = (
            "choose another folder, or overwrite=true" if ours else "it is no export: choose another folder"
        )
        raise ConfigError("already exists", where=f"out={out}", remedy=remedy)
    return out
