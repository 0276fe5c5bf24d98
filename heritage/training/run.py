"""A training run: fit, test and report."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from rich.console import Console

from heritage.core.manifest import SPLITS
from heritage.data import ArtefactDataModule
from heritage.metrics.calibration import calibrate
from heritage.metrics.classification import confusion_matrix
from heritage.metrics.registry import logged_metrics
from heritage.reports.run_report import Report
from heritage.runs.calibration import write_calibration
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER, LAST_CHECKPOINT
from heritage.runs.history import read_history
from heritage.runs.hydra_node import write_hydra_record
from heritage.runs.record import write_record
from heritage.runs.train_result import TrainResult, read_result
from heritage.training.classifier import Classifier
from heritage.training.predict_loop import ModelOutputs, predict_loader
from heritage.training.preview import write_preview
from heritage.training.summary import (
    class_table,
    images_seen,
    option_name,
    run_facts,
    start_lines,
    unreadable_notes,
)


@dataclass
class TrainingRun:
    """The objects of a training run, and its three steps: `fit`, `test` and `report`.

    Together they write the same run folder as ``heritage train``. Data module, classifier and trainer are
    Lightning objects, so ``run.trainer.validate(run.classifier, datamodule=run.data)`` works as well.

    Attributes:
        folder: The run folder.
        cfg: The configuration.
        config: The same, resolved, as plain data.
        data: The data module.
        classifier: The LightningModule.
        trainer: Lightning's trainer.
        choices: The option chosen in each configuration group; empty if that is not known.
        checkpoint: The checkpoint to resume from; None for a new run.
        console: Where tables are printed.
    """

    folder: Path
    cfg: DictConfig
    config: dict[str, Any]
    data: ArtefactDataModule
    classifier: Classifier
    trainer: pl.Trainer
    choices: dict[str, str]
    checkpoint: Path | None
    console: Console
    _seconds: float = field(default=0.0, init=False, repr=False)
    _tested: Report | None = field(default=None, init=False, repr=False)

    @property
    def precision(self) -> str:
        """Lightning's name of the precision, as chosen for the network and the machine."""
        return str(self.trainer.precision)

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each class: in each split, and as the first epoch shows them (``shown``)."""
        return {split: self.data.counts(split) for split in SPLITS} | {"shown": self.data.sampled_counts()}

    def __repr__(self) -> str:
        model, data = option_name(self.choices, "model"), option_name(self.choices, "data")
        return f"TrainingRun({model} on {data}, folder='{self.folder}')"

    def prepare_folder(self) -> None:
        """Write configuration, versions and class counts into the run folder; `fit` calls it."""
        if not self.trainer.is_global_zero:
            return
        write_record(self.folder, self.config, self.data.manifest, {"counts": self.counts})
        write_hydra_record(self.cfg, self.folder)
        self.console.print(class_table(self.data, self.counts))
        net, loss = self.classifier.net, self.classifier.criterion
        for line in start_lines(self.choices, self.data, net, loss, self.trainer):
            self.console.print(line, highlight=False, soft_wrap=True)
        if self.cfg.contact_sheet:
            sheet = write_preview(self.data, self.classifier, self.folder)
            self.console.print(f"contact sheet: {sheet}", soft_wrap=True)

    def fit(self) -> None:
        """Train, from the checkpoint if the run resumes.

        Raises:
            HeritageError: The run cannot continue: the loss is not finite, the disk is full.
            KeyboardInterrupt: Ctrl-C or SIGTERM; the message names what to resume from.
        """
        self._tested = None
        self.prepare_folder()
        began = time.perf_counter()
        with self.interruptible():
            self.trainer.fit(
                self.classifier, datamodule=self.data, ckpt_path=self.checkpoint, weights_only=True
            )
        self._seconds = time.perf_counter() - began

    def test(self) -> dict[str, float]:
        """Load the best checkpoint, calibrate it on the validation split and predict the test split.

        Call it on the first rank only: no image is padded or counted twice.

        Returns:
            The test metrics, named and valued as ``trainer.test`` logs them.
        """
        net = self.classifier.net
        facts = run_facts(self.choices, self.config, self.data, net, self.trainer, self._seconds)
        facts |= self._load_best()
        if self.cfg.target_precision is not None and not self.cfg.trainer.fast_dev_run:
            facts |= self._calibrate(self.cfg.target_precision)
        predictions = self._predict("test")
        self._tested = Report(
            title=f"{option_name(self.choices, 'model')} on the test split of "
            f"{option_name(self.choices, 'data')}",
            manifest=self.data.manifest.take(self.data.rows("test")[predictions.rows]),
            targets=predictions.targets,
            probabilities=predictions.probabilities,
            facts=facts,
            notes=unreadable_notes(self.data),
            history=read_history(self.folder),
            images_seen=images_seen(self.trainer),
        )
        return _test_metrics(predictions, self.data.classes)

    def report(self) -> TrainResult:
        """Write ``report.md``, ``metrics.json``, the predictions and the figures; tests first if necessary.

        Returns:
            The folder, the metrics and the path of the report.
        """
        if self._tested is None:
            self.test()
        report = self._tested
        if report is None:
            raise RuntimeError("test() sets the report")
        report.print(self.console)
        path = report.write(self.folder)
        self.console.print(f"report: {path}", highlight=False, soft_wrap=True)
        return read_result(self.folder)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Turn Lightning's exit on Ctrl-C into a KeyboardInterrupt that names what to resume from."""
        try:
            yield
        except SystemExit as stop:
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            # Lightning exits on Ctrl-C and ignores further ones; the message is still to be printed.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt(self._interrupted(stop.__context__)) from stop

    def _interrupted(self, stop: KeyboardInterrupt) -> str:
        last, why = self.folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT, str(stop) or "stopped by Ctrl-C"
        if not last.is_file():
            return f"{why} before the first checkpoint; {self.folder} holds what was written"
        return f"{why}; the state is saved in {last}, resume with resume={self.folder}"

    def _load_best(self) -> dict[str, str]:
        best = self.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not best.is_file():
            return {"tested": "the network as it is"}  # a fast_dev_run writes no checkpoint
        state = torch.load(best, map_location="cpu", weights_only=True)
        self.classifier.load_state_dict(state["state_dict"])
        epochs = max(self.trainer.current_epoch, state["epoch"] + 1)
        return {"tested": f"{BEST_CHECKPOINT}, after {state['epoch'] + 1} of {epochs} epochs"}

    def _calibrate(self, target_precision: float) -> dict[str, str]:
        predictions = self._predict("val")
        calibration = calibrate(
            predictions.logits,
            predictions.targets,
            target_precision=target_precision,
            split="val",
            fingerprint=self.data.manifest.fingerprint,
        )
        write_calibration(calibration, self.folder)
        threshold = calibration.threshold
        unsure = "never unsure" if threshold is None else f"unsure below {threshold:.2f}"
        error = f"calibration error {calibration.ece_before:.3f} before, {calibration.ece_after:.3f} after"
        return {
            "calibration": f"temperature {calibration.temperature:.2f}, {unsure} (on validation: {error})"
        }

    def _predict(self, split: str) -> ModelOutputs:
        device = self.trainer.strategy.root_device
        return predict_loader(self.classifier, self.data.eval_loader(split), device, precision=self.precision)


def _test_metrics(predictions: ModelOutputs, classes: tuple[str, ...]) -> dict[str, float]:
    predicted = predictions.logits.argmax(axis=1)
    metrics = logged_metrics(confusion_matrix(predictions.targets, predicted, len(classes)), classes)
    return {"test/loss": predictions.loss} | {f"test/{name}": value for name, value in metrics.items()}
