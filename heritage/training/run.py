"""A training run: fit, test and report."""

from __future__ import annotations

import contextlib
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from heritage.core.console import Console
from heritage.core.labels import hydra_word
from heritage.core.manifest import SPLITS
from heritage.core.notebook import html_table, shortened
from heritage.core.numbers import counted
from heritage.core.terminal import own_command
from heritage.data import ArtefactDataModule
from heritage.errors import CheckpointError, TrainingError
from heritage.features.predict_loop import ModelOutputs, predict_loader
from heritage.metrics.calibration import calibrate
from heritage.metrics.calibration_claim import calibration_claim, threshold_sentence
from heritage.metrics.classification import confusion_matrix
from heritage.metrics.registry import logged_metrics
from heritage.models.adapter_file import is_light, write_adapters
from heritage.models.checkpoint import parse_checkpoint
from heritage.models.checkpoint_file import open_checkpoint
from heritage.models.weights import OUR_RECORD
from heritage.reports.run_report import Report
from heritage.runs.calibration import write_calibration
from heritage.runs.data_set_name import data_set_title
from heritage.runs.files import ADAPTERS_FILE, BEST_CHECKPOINT, CHECKPOINTS_FOLDER, LAST_CHECKPOINT
from heritage.runs.history import read_history
from heritage.runs.hydra_node import write_hydra_record
from heritage.runs.locks import run_locked
from heritage.runs.record import write_record
from heritage.runs.resume import refuse_occupied_folder
from heritage.runs.run_result import RunResult
from heritage.runs.training_images import RECORD
from heritage.runs.validation_outputs import ValidationOutputs, write_validation_outputs
from heritage.training.classifier import Classifier
from heritage.training.preview import write_preview
from heritage.training.summary import (
    class_table,
    images_seen,
    option_name,
    run_facts,
    scratch_note,
    start_lines,
    test_notes,
    unreadable_notes,
)

# What torch and Lightning raise for a state that does not fit.
_UNSUITABLE = (
    LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, AssertionError,
    MisconfigurationException,
)  # fmt: skip


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run; the message names what to resume from."""


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
    _began: bool = field(default=False, init=False, repr=False)

    @property
    def precision(self) -> str:
        """Lightning's name of the precision, as chosen for the network and the machine."""
        return str(self.trainer.precision)

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each class: in each split, and as the first epoch shows them (``shown``)."""
        return {split: self.data.counts(split) for split in SPLITS} | {"shown": self.data.sampled_counts()}

    @property
    def _data_name(self) -> str:
        return data_set_title(self.choices.get("data"), self.config["data"].get("root"))

    def __repr__(self) -> str:
        model, data = option_name(self.choices, "model"), self._data_name
        return f"TrainingRun({model} on {data}, folder='{shortened(self.folder)}')"

    def _repr_html_(self) -> str:
        model, data = option_name(self.choices, "model"), self._data_name
        rows: dict[str, object] = {
            "folder": self.folder,
            "images": ", ".join(f"{len(self.data.rows(split)):,} {split}" for split in SPLITS),
            "classes": ", ".join(self.data.classes),
            "epochs trained": self.trainer.current_epoch,
            "precision": self.precision,
        }
        return html_table(f"{model} on {data}", rows)

    def prepare_folder(self) -> None:
        """Write configuration, versions and class counts into the run folder; `fit` calls it."""
        if not self.trainer.is_global_zero:
            return
        facts = {"counts": self.counts, RECORD: self.data.training_images.record()}
        write_record(self.folder, self.config, self.data.manifest, facts)
        write_hydra_record(self.cfg, self.folder)
        self.console.print(class_table(self.data, self.counts))
        net, loss = self.classifier.net, self.classifier.criterion
        lines = start_lines(self.choices, self.data, net, loss, self.trainer)
        for line in [*lines, *scratch_note(self.config, self.data)]:
            self.console.print(line, highlight=False, soft_wrap=True)
        if self.cfg.contact_sheet:
            sheet = write_preview(self.data, self.classifier, self.folder, self.cfg.figure_width)
            self.console.print(f"contact sheet: {sheet}", soft_wrap=True)

    def fit(self) -> None:
        """Train, from the checkpoint if the run resumes.

        Raises:
            HeritageError: The run cannot continue: the loss is not finite, the disk is full, or another
                process is using the folder.
            KeyboardInterrupt: Ctrl-C or SIGTERM; the message names what to resume from.
        """
        self._tested = None
        with run_locked(self.folder):
            if not self._began and self.checkpoint is None:
                refuse_occupied_folder(self.folder)  # a run that began there after this one was built
            self._began = True
            self.prepare_folder()
            began = time.perf_counter()
            with self.interruptible(), self._restoring():
                self.trainer.fit(
                    self.classifier, datamodule=self.data, ckpt_path=self.checkpoint, weights_only=True
                )
            self._seconds = time.perf_counter() - began

    def test(self) -> dict[str, float]:
        """Load the best checkpoint, calibrate it on the validation split and predict the test split.

        Call it on the first rank only: no image is padded or counted twice.

        Raises:
            TrainingError: The network is not trained yet.

        Returns:
            The test metrics by name (``loss``, ``accuracy``, ``macro_f1``, ``recall/<class>``, …), with the
            values that ``trainer.test`` logs as ``test/<name>``.
        """
        self._require_trained()
        net = self.classifier.net
        facts = run_facts(self.choices, self.config, self.data, net, self.trainer, self._seconds)
        facts |= self._load_best()
        if self.cfg.target_precision is not None and not self.cfg.trainer.fast_dev_run:
            facts |= self._calibrate(self.cfg.target_precision)
        predictions = self._predict("test")
        manifest = self.data.manifest.take(self.data.rows("test")[predictions.rows])
        self._tested = Report(
            title=f"{option_name(self.choices, 'model')} on the test split of {self._data_name}",
            manifest=manifest,
            targets=predictions.targets,
            probabilities=predictions.probabilities,
            facts=facts,
            notes=[*test_notes(self.data, manifest, self.config), *unreadable_notes(self.data)],
            history=read_history(self.folder),
            images_seen=images_seen(self.trainer),
        )
        return _test_metrics(predictions, self.data.classes)

    def report(self) -> RunResult:
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
        with run_locked(self.folder):
            path = report.write(self.folder, self.cfg.figure_width)
        self.console.print(f"report: {path}", highlight=False, soft_wrap=True)
        if (self.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT).is_file():
            words = [*own_command(), "serve", f"ckpt={hydra_word(str(self.folder))}", "open=true"]
            page = f"next: {shlex.join(words)}    opens the network as a web page"
            self.console.print(page, highlight=False, soft_wrap=True)
        return RunResult("train", self.folder)

    @contextlib.contextmanager
    def _restoring(self) -> Iterator[None]:
        """Turn what torch and Lightning raise for an unsuitable checkpoint into one line."""
        if self.checkpoint is None:
            yield
            return
        self.classifier.started = False
        try:
            yield
        except _UNSUITABLE as error:
            if self.classifier.started:
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise CheckpointError(
                f"training cannot continue from it ({reason})",
                where=self.checkpoint,
                remedy="it is damaged or of another run: remove it, and the run starts again",
            ) from error

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM raise a KeyboardInterrupt that names what to resume from."""
        try:
            yield
        except Interrupted:
            raise
        except KeyboardInterrupt as stop:
            raise Interrupted(self._interrupted(stop)) from stop
        except SystemExit as stop:
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            # Lightning exits on Ctrl-C and ignores further ones; the message is still to be printed.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise Interrupted(self._interrupted(stop.__context__)) from stop

    def _interrupted(self, stop: KeyboardInterrupt) -> str:
        last, why = self.folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT, str(stop) or "stopped by Ctrl-C"
        if not last.is_file():
            return f"{why} before the first checkpoint; {self.folder} holds what was written"
        return f"{why}; the state is saved in {last}, resume with resume={self.folder}"

    def _require_trained(self) -> None:
        best = self.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not self.trainer.global_step and not best.is_file():
            raise TrainingError(
                "the network is not trained",
                where=self.folder,
                remedy="call fit() first; trainer.test(classifier, datamodule=data) tests it as it is",
            )

    def _load_best(self) -> dict[str, str]:
        best = self.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not best.is_file():
            return {"tested": "the network as it is"}  # a fast_dev_run writes no checkpoint
        state = open_checkpoint(best)
        epoch = parse_checkpoint(state, best).epoch
        try:
            self.classifier.load_state_dict(state["state_dict"])
        except RuntimeError as error:
            raise CheckpointError(
                "its weights are not those of this network",
                where=best,
                remedy="it is of another run: start a new one",
            ) from error
        net = self.classifier.net
        if is_light(net, self.config["model"].get("weights")):
            write_adapters(self.folder / ADAPTERS_FILE, net, state[OUR_RECORD], epoch)
        epochs = max(self.trainer.current_epoch, epoch + 1)
        return {"tested": f"{BEST_CHECKPOINT}, after {epoch + 1} of {counted(epochs, 'epoch')}"}

    def _calibrate(self, target_precision: float) -> dict[str, str]:
        rows = self.data.rows("val")
        if not len(rows):
            return {"calibration": "none: there are no validation images"}
        predictions = self._predict("val")
        manifest = self.data.manifest
        groups = manifest.take(rows[predictions.rows]).column("group_id")
        calibration = calibrate(
            predictions.logits,
            predictions.targets,
            groups,
            target_precision=target_precision,
            split="val",
            fingerprint=manifest.fingerprint,
        )
        write_calibration(calibration, self.folder)
        outputs = ValidationOutputs(
            predictions.logits, predictions.targets, groups, manifest.classes, calibration
        )
        write_validation_outputs(outputs, self.folder)
        return {
            "calibration": calibration_claim(calibration).sentence,
            "threshold": threshold_sentence(calibration),
        }

    def _predict(self, split: str) -> ModelOutputs:
        device = self.trainer.strategy.root_device
        return predict_loader(self.classifier, self.data.eval_loader(split), device, precision=self.precision)


def _test_metrics(predictions: ModelOutputs, classes: tuple[str, ...]) -> dict[str, float]:
    predicted = predictions.logits.argmax(axis=1)
    metrics = logged_metrics(confusion_matrix(predictions.targets, predicted, len(classes)), classes)
    return {"loss": predictions.loss} | metrics
