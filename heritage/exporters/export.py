"""`heritage export`: a checkpoint to a folder with the network, its description and a model card."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from heritage.core.disk import full_disk_as_os_error
from heritage.core.licences import SpdxLicence
from heritage.core.locks import locked_output
from heritage.errors import ConfigError
from heritage.exporters.exporter import DESCRIPTION, Exporter, ExportSource, PortableModel
from heritage.exporters.formats import load_exporter
from heritage.exporters.model_card import CARD, HubPlace, model_card
from heritage.exporters.parity import Parity, check_parity, parity_sample, resizing_parity
from heritage.inference.checkpoint import TrainedClassifier, merged
from heritage.inference.ensemble import load_members
from heritage.inference.test_set import try_run_manifest
from heritage.inference.weight_average import average_weights
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.read_rule import read_rule
from heritage.training.devices import choose_device

_MARKS = {DESCRIPTION, CARD}


@dataclass(frozen=True)
class ExportOptions:
    """Options of `export`.

    Attributes:
        ckpt: A run folder or checkpoint; with ``average``, a list of them.
        trusted: Functions or classes of the user's own that the checkpoint may name.
        format: A module of `heritage.exporters.formats`.
        out: The folder to write; None writes one named after the run into ``folder``.
        folder: The folder of exports that ``out`` does not name.
        licence: Of the weights, as an SPDX identifier; None if it is not stated.
        pictures: Images to compare on (`heritage.prediction.inputs.find_inputs`); None takes the test split.
        overwrite: Whether an earlier export in ``out`` may be replaced.
        average: ``weights`` exports a network with the mean of the weights of several runs.
        place: Where the network is published, for its card; not an option of the command.
    """

    ckpt: str | list[str]
    trusted: list[str]
    format: str
    out: str | None
    folder: str
    licence: SpdxLicence | None
    pictures: str | None
    overwrite: bool
    place: HubPlace | None = None
    average: Literal["weights"] | None = None


@dataclass(frozen=True)
class ExportResult:
    """The result of `export`.

    Attributes:
        folder: The exported folder.
        files: Its file names, with their sizes in bytes.
        parity: The comparison with PyTorch.
        decision_rule: Calibration and threshold, as text.
        messages: What else there is to know, for the console.
    """

    folder: Path
    files: dict[str, int]
    parity: Parity
    decision_rule: str
    messages: tuple[str, ...]


def export(options: ExportOptions) -> ExportResult:
    """Export a network and compare it with PyTorch; the folder appears only if they agree.

    Raises:
        HeritageError: The options are faulty, the network cannot be exported, or the export disagrees.
    """
    exporter_class = load_exporter(options.format)
    exporter_class.require_packages()
    trained, run = _load(options)
    decision_rule = read_rule([trained])
    out = _output(options, run)
    with locked_output(out):
        _refuse_existing(out, options)
        with full_disk_as_os_error(out):
            return _export(out, exporter_class, trained, decision_rule, options)


def _export(
    out: Path,
    exporter_class: type[Exporter],
    trained: TrainedClassifier,
    decision_rule: DecisionRule,
    options: ExportOptions,
) -> ExportResult:
    manifest = try_run_manifest(trained)
    sample = parity_sample(trained, manifest, options.pictures)
    reference = PortableModel(trained.model.cpu(), decision_rule.temperature).eval()
    source = ExportSource.of(merged(trained), decision_rule, options.licence)
    exporter = exporter_class(source)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        folder.mkdir()
        exporter.write(folder)
        parity = check_parity(reference, exporter.open(folder), sample.source, sample.images)
        resizing = None
        if sample.files and (logits := exporter.with_own_resizing(folder, sample.files)) is not None:
            resizing = resizing_parity(reference, sample, logits)
        text = json.dumps(source.description, indent=2, ensure_ascii=False)
        (folder / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")
        card = model_card(
            exporter, decision_rule, manifest, parity=parity, resizing=resizing, place=options.place
        )
        (folder / CARD).write_text(card, encoding="utf-8")
        for path in (one for one in folder.rglob("*") if one.is_file()):
            path.chmod(0o666 & folder.stat().st_mode)  # some writers make files that only their owner reads
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    messages = [f"Note: {note}" for note in trained.notes]
    if decision_rule.all_unsure:
        messages.append(f"Note: {decision_rule.threshold_sentence}")
    messages += exporter.messages(out)
    if resizing:
        messages += [f"images resized by {exporter.library}'s own transform: {resizing}"]
    written = sorted(path for path in out.rglob("*") if path.is_file())
    files = {path.relative_to(out).as_posix(): path.stat().st_size for path in written}
    return ExportResult(out, files, parity, str(decision_rule), tuple(messages))


def _load(options: ExportOptions) -> tuple[TrainedClassifier, str]:
    """Return the network, and the name of the run for the folder."""
    members = load_members(options.ckpt, options.trusted)
    first = members[0]
    run = first.folder.resolve().name if first.folder else first.file.stem
    if options.average is not None:
        return average_weights(members, choose_device("cpu")), f"{run}-averaged"
    if len(members) > 1:
        raise ConfigError(
            "an export is one network",
            where="ckpt=[…]",
            remedy="average=weights exports the mean of their weights; predict takes the list as it is",
        )
    return first, run


def _output(options: ExportOptions, run: str) -> Path:
    """Return the folder to write."""
    if options.out is not None:
        return Path(options.out).expanduser()
    return Path(options.folder) / f"{run}-{options.format}"


def _refuse_existing(out: Path, options: ExportOptions) -> None:
    if not out.exists():
        return
    is_export = out.is_dir() and {path.name for path in out.iterdir()} >= _MARKS
    if not options.overwrite or not is_export:
        remedy = "choose another folder, or overwrite=true"
        if not is_export:
            remedy = "it is not an export: choose another folder"
        raise ConfigError("already exists", where=f"out={out}", remedy=remedy)
