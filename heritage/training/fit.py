"""A training run from its start to its report."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import nn

from heritage.core.manifest import SPLITS
from heritage.errors import ConfigError
from heritage.metrics.calibration import calibrate
from heritage.reports.run_report import Report
from heritage.runs.calibration import write_calibration
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER, LAST_CHECKPOINT
from heritage.runs.history import read_history
from heritage.runs.record import write_record
from heritage.training.build import TrainingRun, build
from heritage.training.callbacks.throughput import ThroughputMonitor
from heritage.training.lr_finder import find_learning_rate
from heritage.training.predict_loop import Predictions, predict_loader
from heritage.training.preview import write_preview


def train(cfg: DictConfig, console: Console) -> None:
    """Train, test the best checkpoint, write the report and print its path.

    The first rank alone tests and writes: no image is padded or counted twice.

    Raises:
        HeritageError: Whatever stops the run, in words.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the message says how to go on.
    """
    if cfg.target_precision is not None and not 0 < cfg.target_precision < 1:
        raise ConfigError(
            "the part of answers that is to be right lies between 0 and 1",
            where=f"target_precision={cfg.target_precision}",
            remedy="0.95 is the usual, null calibrates nothing",
        )
    run = build(cfg)
    if run.trainer.is_global_zero:
        write_record(run.folder, run.config, run.data.manifest, {"counts": run.counts})
        _print_start(run, console)
        if cfg.contact_sheet:
            console.print(
                f"contact sheet: {write_preview(run.data, run.classifier, run.folder)}", soft_wrap=True
            )
    if cfg.lr_find:
        with _stopping_in_words(run):
            rate, picture = find_learning_rate(run.trainer, run.classifier, run.data, run.folder)
        if run.trainer.is_global_zero:
            suggestion = f"suggested learning rate: optimizer.lr={rate:.2g}; {picture}"
            console.print(suggestion, highlight=False, soft_wrap=True)
        return
    began = time.perf_counter()
    with _stopping_in_words(run):
        run.trainer.fit(run.classifier, datamodule=run.data, ckpt_path=run.checkpoint, weights_only=True)
    if not run.trainer.is_global_zero:
        return
    seconds = time.perf_counter() - began
    facts = _facts(run, seconds) | _load_best(run)
    if cfg.target_precision is not None and not cfg.trainer.fast_dev_run:
        facts |= _calibrate(run, cfg.target_precision)
    report = _report(run, _ask(run, "test"), facts)
    report.print(console)
    console.print(f"report: {report.write(run.folder)}", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _stopping_in_words(run: TrainingRun) -> Iterator[None]:
    try:
        yield
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        # Lightning ends the process on Ctrl-C and ignores further ones; we still have a word to say.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt(_interrupted(run, stop.__context__)) from stop


def _interrupted(run: TrainingRun, stop: KeyboardInterrupt) -> str:
    last, why = run.folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT, str(stop) or "stopped by Ctrl-C"
    if not last.is_file():
        return f"{why} before the first checkpoint; {run.folder} holds what was written"
    return f"{why}; {last} holds the state, go on with resume={run.folder}"


def _load_best(run: TrainingRun) -> dict[str, str]:
    best = run.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
    if not best.is_file():
        return {"tested": "the network as it is"}  # a fast_dev_run writes no checkpoint
    state = torch.load(best, map_location="cpu", weights_only=True)
    run.classifier.load_state_dict(state["state_dict"])
    return {"tested": f"{BEST_CHECKPOINT}, after {state['epoch'] + 1} of {run.trainer.current_epoch} epochs"}


def _calibrate(run: TrainingRun, target_precision: float) -> dict[str, str]:
    answers = _ask(run, "val")
    found = calibrate(
        answers.logits,
        answers.targets,
        target_precision=target_precision,
        split="val",
        fingerprint=run.data.manifest.fingerprint,
    )
    write_calibration(found, run.folder)
    unsure = "never unsure" if found.threshold is None else f"unsure below {found.threshold:.2f}"
    error = f"calibration error {found.ece_before:.3f} before, {found.ece_after:.3f} after"
    return {"calibration": f"temperature {found.temperature:.2f}, {unsure} (on validation: {error})"}


def _ask(run: TrainingRun, split: str) -> Predictions:
    device = run.trainer.strategy.root_device
    return predict_loader(run.classifier, run.data.eval_loader(split), device, precision=run.precision)


def _report(run: TrainingRun, answers: Predictions, facts: dict[str, str]) -> Report:
    manifest = run.data.manifest.take(run.data.rows("test")[answers.rows])
    return Report(
        title=f"{_choice(run, 'model')} on the test split of {_choice(run, 'data')}",
        manifest=manifest,
        targets=answers.targets,
        probabilities=answers.probabilities,
        facts=facts,
        notes=_notes(run),
        history=read_history(run.folder),
        images_seen=_images_seen(run),
    )


def _facts(run: TrainingRun, seconds: float) -> dict[str, str]:
    data, trainer = run.data, run.trainer
    seen = _images_seen(run)
    shown = "" if seen is None else f"{seen:,} images seen, "
    return {
        "data": f"{data.manifest.root} ({len(data.manifest):,} images, fingerprint "
        f"{data.manifest.fingerprint[:12]})",
        "split": f"{_choice(run, 'data/split')}: "
        + ", ".join(f"{name} {len(data.rows(name)):,}" for name in SPLITS),
        "model": f"{_choice(run, 'model')}, {_parameters(run.classifier.net):,} parameters, "
        f"{data.image_size} px",
        "balance": _balance(run),
        "optimizer": f"{_choice(run, 'optimizer')}, lr {run.config['optimizer']['lr']:g}, "
        f"{_choice(run, 'scheduler')}",
        "training": f"{trainer.current_epoch} epochs, {trainer.global_step:,} steps, {shown}{seconds:,.0f} s",
        "precision": run.precision,
        "seed": str(run.config["seed"]),
    }


def _images_seen(run: TrainingRun) -> int | None:
    parts = run.trainer.callbacks  # type: ignore[attr-defined]
    return next((part.images_seen for part in parts if isinstance(part, ThroughputMonitor)), None)


def _notes(run: TrainingRun) -> list[str]:
    notes = []
    for split in SPLITS:
        if files := run.data.unreadable(split):
            named = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
            notes.append(f"{len(files)} {split} images could not be read and were left out: {named}")
    return notes


def _choice(run: TrainingRun, group: str) -> str:
    return run.choices.get(group) or "custom"


def _balance(run: TrainingRun) -> str:
    """Return the option of `balance`, and what acts on each of its axes: any can be changed by itself."""
    axes = []
    for axis, node in run.config["balance"].items():
        values = [f"{key} {value}" for key, value in node.items() if key[0] != "_"]
        option = _choice(run, f"balance/{axis}")
        axes.append(f"{axis} {option} ({', '.join(values)})" if values else f"{axis} {option}")
    return f"{_choice(run, 'balance')}: {', '.join(axes)}"


def _parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _print_start(run: TrainingRun, console: Console) -> None:
    table = Table(title=f"Images of {run.data.manifest.root}", title_justify="left")
    table.add_column("class")
    for name in (*SPLITS, "shown an epoch"):
        table.add_column(name, justify="right")
    columns = [*SPLITS, "shown"]
    for name in run.data.classes:
        table.add_row(name, *(f"{run.counts[column][name]:,}" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{sum(run.counts[column].values()):,}" for column in columns))
    console.print(table)
    console.print(str(run.trains), highlight=False, soft_wrap=True)
    weights = getattr(run.classifier.criterion, "weights", None)
    if weights is not None:
        pairs = zip(run.data.classes, weights.tolist(), strict=True)
        console.print("class weights: " + ", ".join(f"{name} {weight:.4f}" for name, weight in pairs))
    console.print(
        f"{_choice(run, 'model')}: {_parameters(run.classifier.net):,} parameters, {run.data.image_size} px, "
        f"{run.precision}; run folder {run.folder}",
        highlight=False,
        soft_wrap=True,
    )
