"""A trained network as a publication: weights, timm's configuration, card, and what the run measured.

Nothing of the machine goes along: absolute paths become names, and of the configuration only the sections
that describe the training are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import safetensors

from heritage.core.escaping import markdown
from heritage.core.files import write_text
from heritage.errors import CheckpointError, PublishError
from heritage.exporters.export import ExportOptions, export
from heritage.exporters.model_card import CARD, HubPlace, network_title
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint, merged
from heritage.models.published import published_record
from heritage.publishing.machine_paths import without_paths
from heritage.publishing.options import PublishOptions
from heritage.publishing.publication import Publication, files_in
from heritage.runs.files import AUDITS_FILE, CALIBRATION_FILE, DATA_FILE, HISTORY_FILE, METRICS_FILE
from heritage.runs.published import PUBLISHED_RECORD, PUBLISHED_WEIGHTS
from heritage.runs.record import read_json
from heritage.runs.training_images import RECORD

_SECTIONS = (
    "seed", "model", "finetune", "data", "augment", "balance", "optimizer", "scheduler", "trainer",
    "target_precision", "objective",
)  # fmt: skip
"""Sections of the configuration that describe a training; others name folders, accounts or machines."""
_MEASURED = (CALIBRATION_FILE, AUDITS_FILE)
_PICTURES = {"confusion.png": "Confusion matrix of the test images", "curves.png": "Metrics of each epoch"}
_BEGINNINGS = {".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-", ".csv": b""}
_LARGEST = 20 << 20  # bytes of a picture or a table of the run


def network_publication(options: PublishOptions, folder: Path) -> Publication:
    """Write everything that is published of a run into an empty folder.

    Args:
        options: The options; ``ckpt`` names the run.
        folder: The folder to write, which must remain until the files are sent.

    Raises:
        HeritageError: The checkpoint cannot be read or exported.
    """
    ckpt = str(options.ckpt)
    trained = load_checkpoint(ckpt, options.trusted)
    out = folder / "network"
    export(
        ExportOptions(
            ckpt=ckpt, trusted=options.trusted, format="safetensors", out=str(out), folder=str(folder),
            licence=options.licence, pictures=None, overwrite=False,
            place=HubPlace(options.repo, options.dataset, options.title),
        )
    )  # fmt: skip
    _write_record(merged(trained), out)
    if trained.folder is not None:
        _copy_measurements(trained.folder, out)
    notes = list(trained.notes)
    if options.licence is None:
        notes.append("The weights have no licence, so nobody may use them: licence=CC-BY-4.0 or Apache-2.0.")
    if trained.initial_weights is not None and (notice := trained.initial_weights.notice):
        notes.append(notice)
    title = options.title or network_title(trained)
    _append_files(out, options.citation.bibtex(title, _page(options)))
    return Publication(
        "model",
        title,
        f"Predicts from a photograph which of {len(trained.classes)} classes an artefact belongs to: "
        f"{', '.join(trained.classes)}.",
        options.licence,
        tuple(files_in(out)),
        {},
        tuple(notes),
    )


def _write_record(trained: TrainedClassifier, out: Path) -> None:
    with safetensors.safe_open(out / PUBLISHED_WEIGHTS, framework="pt") as file:
        stored = set(file.keys())
    own = trained.model.net.state_dict().keys()
    if missing := sorted(own - stored):
        raise PublishError(
            f"{missing[0]} is not among the exported weights",
            where=out,
            remedy="export it with format=torch_export",
        )
    config = {name: trained.config[name] for name in _SECTIONS if name in trained.config}
    record = published_record(
        classes=trained.classes,
        fingerprint=trained.fingerprint,
        epoch=trained.epoch,
        config=without_paths(config),
        training_images=trained.training_images.record(),
        computed=stored - own,
        initial_weights=None if trained.initial_weights is None else trained.initial_weights.record(),
    )
    _write_json(out / PUBLISHED_RECORD, record)


def _copy_measurements(run: Path, out: Path) -> None:
    """Copy what the run measured, as far as it is valid; predictions for single photographs stay here."""
    data = read_json(run, DATA_FILE)
    if data:
        kept = {name: data[name] for name in ("fingerprint", "images", "counts", RECORD) if name in data}
        _write_json(out / DATA_FILE, kept)
    if metrics := read_json(run, METRICS_FILE):
        left_out = ("environment", "checkpoint", "command")
        _write_json(out / METRICS_FILE, {key: value for key, value in metrics.items() if key not in left_out})
    for name in _MEASURED:
        if (run / name).is_file():
            _write_json(out / name, _read_json_text(run / name))
    papers = [PurePath(name).with_suffix(".pdf").name for name in _PICTURES]
    for name in (HISTORY_FILE, *_PICTURES, *papers):
        path = run / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
            content = path.read_bytes()
            if content.startswith(_BEGINNINGS[path.suffix]):
                (out / name).write_bytes(content)


def _read_json_text(path: Path) -> Any:
    if path.stat().st_size > _LARGEST:
        raise CheckpointError("too large", where=path, remedy="run `heritage evaluate` again")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"unreadable ({error})", where=path, remedy="run `heritage evaluate` again"
        ) from error


def _page(options: PublishOptions) -> str | None:
    """Return the network's page on the public hub."""
    return f"https://huggingface.co/{options.repo}" if options.repo and options.endpoint is None else None


def _append_files(out: Path, bibtex: str | None) -> None:
    """Add the pictures, the list of files and the citation to the card."""
    card = out / CARD
    text = [card.read_text(encoding="utf-8").rstrip(), ""]
    pictures = [f"![{title}]({name})\n" for name, title in _PICTURES.items() if (out / name).is_file()]
    text += ["## Figures", "", *pictures] if pictures else []
    text += ["## Files", ""]
    text += [f"- {markdown(file.name)}: {_FILES[file.name]}" for file in files_in(out) if file.name in _FILES]
    if bibtex is not None:
        text += ["", "## Citation", "", "```bibtex", bibtex, "```"]
    write_text(card, "\n".join(text) + "\n")


_FILES = {
    PUBLISHED_WEIGHTS: "the weights",
    "config.json": "the network and its input, for timm",
    "heritage.json": "classes, preprocessing and calibration, for any program",
    PUBLISHED_RECORD: "the run's configuration, with which heritage rebuilds the network",
    METRICS_FILE: "metrics of the test images",
    CALIBRATION_FILE: "temperature and threshold",
    AUDITS_FILE: "results of audits",
    HISTORY_FILE: "metrics of each epoch",
    DATA_FILE: "fingerprint and class counts of the data set",
}


def _write_json(path: Path, content: Mapping[str, Any] | Any) -> None:
    write_text(path, json.dumps(without_paths(content), indent=2, ensure_ascii=False) + "\n")
