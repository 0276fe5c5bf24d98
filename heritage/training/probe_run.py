"""A run of ``finetune=probe``: features from the store, a head chosen and fitted, an ordinary run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from heritage.core.numbers import counted
from heritage.core.progress import Progress
from heritage.errors import CheckpointError
from heritage.features.compute import ImageFeatures, feature_places, image_features, summary
from heritage.features.predict_loop import ModelOutputs, autocast
from heritage.metrics.classification import confusion_matrix
from heritage.metrics.registry import logged_metrics
from heritage.models.checkpoint import parse_checkpoint
from heritage.models.checkpoint_file import open_checkpoint
from heritage.models.heads import CosineHead, NearestNeighbourHead, attach_head, classifier_path
from heritage.models.network import NONE
from heritage.models.normalize import NormalizedModel
from heritage.probes.heads import Fitted, FittedCosine, FittedLinear, Setting
from heritage.probes.selection import METRIC, Selected, TrainingSplit, fit_probe
from heritage.reports.tables import Table
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER, LAST_CHECKPOINT
from heritage.runs.history import write_history
from heritage.runs.locks import run_locked
from heritage.runs.resume import refuse_occupied_folder
from heritage.training.probe_balance import ProbeBalance
from heritage.training.probe_options import NOT_USED, ProbeOptions
from heritage.training.run import TrainingRun

_BLOCK = 1024  # rows of features that a head predicts at once


@dataclass
class ProbeRun(TrainingRun):
    """Fits a head to stored features; its steps and its folder are those of a training run.

    Resuming fits it again, which takes seconds, from the features that are stored.
    """

    _selected: Selected | None = field(default=None, init=False, repr=False)

    @property
    def options(self) -> ProbeOptions:
        """The options of the probe."""
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        return next(part for part in callbacks if isinstance(part, ProbeOptions))

    @cached_property
    def features(self) -> ImageFeatures:
        """The features of the images, in the store of ``paths.outputs``."""
        return self.open_features(feature_places(None, self.cfg.paths.outputs))

    def open_features(self, places: Sequence[Path]) -> ImageFeatures:
        """Return the features of the images; a new store is made in the first of some folders."""
        return image_features(
            NormalizedModel(self.classifier.net),
            self.data,
            device=self.trainer.strategy.root_device,
            precision=self.precision,
            places=places,
        )

    def fit(self) -> None:
        """Compute the features that are not stored, choose a setting and fit the head.

        Raises:
            HeritageError: The features or classes are unsuitable, the disk is full, or another process is
                using the folder.
            KeyboardInterrupt: Ctrl-C or SIGTERM; the features computed so far are kept.
        """
        self._tested = None
        balance = ProbeBalance(self.cfg.balance, self.options.head, self.data.classes, self.cfg.seed)
        with run_locked(self.folder):
            if not self._began and self.checkpoint is None:
                refuse_occupied_folder(self.folder)
            self._began = True
            _restore_linear(self.classifier.net)
            self.prepare_folder()
            self.console.print(f"a probe does not use {NOT_USED}", highlight=False, soft_wrap=True)
            began = time.perf_counter()
            with self.interruptible():
                self._selected = self._fit(balance)
                set_head(self.classifier.net, self._selected.fitted)
                self._save()
            self._seconds = time.perf_counter() - began

    def _fit(self, balance: ProbeBalance) -> Selected:
        rows, features = self.features.of("train")
        targets = self.data.targets("train")[rows]
        manifest = self.data.manifest.take(self.data.rows("train")[rows])
        split = TrainingSplit(
            features,
            targets,
            np.array(manifest.column("group_id")).astype(np.str_),
            self.data.classes,
            lambda some: balance.of(targets[some]),
        )
        with Progress(f"cross-validation of {self.options.head}", self.options.folds) as progress:
            return fit_probe(
                self.options.probe(),
                split,
                self.options.folds,
                self.cfg.seed,
                lambda *_: progress.advance(1),
            )

    def _save(self) -> None:
        """Write the checkpoints, and the validation metrics of the one epoch that a probe has."""
        folder = self.folder / CHECKPOINTS_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.trainer.strategy.connect(self.classifier)
        self.trainer.save_checkpoint(folder / BEST_CHECKPOINT, weights_only=True)
        copy = folder / f".{LAST_CHECKPOINT}"
        shutil.copyfile(folder / BEST_CHECKPOINT, copy)
        copy.replace(folder / LAST_CHECKPOINT)
        if len(self.data.rows("val")):
            outputs = self._predict("val")
            confusion = confusion_matrix(
                outputs.targets, outputs.logits.argmax(axis=1), len(self.data.classes)
            )
            metrics = {"loss": outputs.loss} | logged_metrics(confusion, self.data.classes)
            write_history(
                [{"epoch": 0} | {f"val/{name}": value for name, value in metrics.items()}], self.folder
            )

    def test(self) -> dict[str, float]:
        """Calibrate the head on the validation split and predict the test split, from stored features.

        Raises:
            TrainingError: The head is not fitted yet.

        Returns:
            The test metrics by name.
        """
        metrics = super().test()
        report = self._tested
        if report is not None:
            facts = {
                name: text for name, text in report.facts.items() if name not in ("optimizer", "training")
            }
            notes = [*report.notes, *summary(self.features.store), *self._notes()]
            self._tested = replace(
                report, facts=facts | self._facts(), notes=notes, history=(), tables=self._tables()
            )
        return metrics

    def _facts(self) -> dict[str, str]:
        store = self.features.store
        place = "in memory" if store.folder is None else str(store.folder)
        facts = {
            "probe": self.options.head,
            "without effect": NOT_USED,
            "features": f"{store.width:,} of each image, {place}",
            "fitting": f"{self._seconds:,.0f} s, with the features that were not stored",
        }
        if self._selected is None:
            return facts
        text = f"{self.options.head}: {_setting_text(self._selected.setting)}"
        validation = self._selected.validation
        if validation is not None:
            score = validation.metrics[validation.best][METRIC]
            text += (
                f"; of {counted(len(validation.settings), 'setting')} by {validation.folds}-fold "
                f"cross-validation in groups of the training split, macro-F1 {score:.4f}"
            )
        return facts | {"probe": text}

    def _notes(self) -> list[str]:
        notes = []
        if self.config["model"].get("weights") in (None, NONE):
            notes.append(
                "the probe uses features of an untrained network: model.weights=pretrained has better ones"
            )
        fitted = None if self._selected is None else self._selected.fitted
        if isinstance(fitted, FittedLinear) and not fitted.converged:
            notes.append("the fit of the head did not converge: a larger finetune.penalty helps")
        validation = None if self._selected is None else self._selected.validation
        return [*notes, *(validation.notes if validation is not None else ())]

    def _tables(self) -> tuple[Table, ...]:
        validation = None if self._selected is None else self._selected.validation
        if validation is None:
            return ()
        names = [*validation.settings[0]]
        head = (*names, "macro-F1", "± folds", "balanced accuracy", "accuracy", "chosen")
        rows = [
            (
                *(_value_text(setting[name]) for name in names),
                *(f"{row[name]:.4f}" for name in ("macro_f1", "deviation", "balanced_accuracy", "accuracy")),
                "yes" if number == validation.best else "",
            )
            for number, (setting, row) in enumerate(zip(validation.settings, validation.metrics, strict=True))
        ]
        title = (
            f"Settings of the probe ({self.options.head}), {validation.folds}-fold cross-validation in groups"
        )
        note = "Predictions of all folds together; ±: standard deviation of the folds' macro-F1."
        return (Table("probe", title, head, rows, note),)

    def _load_best(self) -> dict[str, str]:
        best = self.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if self._selected is None:  # fitted by another process
            weights = parse_checkpoint(open_checkpoint(best), best).weights
            try:
                attach_head(self.classifier.net, self.config["model"]["head"], weights)
            except ValueError as error:
                raise CheckpointError(str(error), where=best, remedy="start a new run") from error
        super()._load_best()
        return {"tested": BEST_CHECKPOINT}

    def _predict(self, split: str) -> ModelOutputs:
        rows, features = self.features.of(split)
        device = self.trainer.strategy.root_device
        with autocast(device, self.precision):  # as the whole network computes it
            logits = head_logits(self.classifier.net, torch.from_numpy(features))
        return ModelOutputs(rows, self.data.targets(split)[rows], logits.numpy())


def set_head(net: nn.Module, fitted: Fitted) -> None:
    """Make a fitted probe the classifier of a network.

    Args:
        net: The network; its classifier is one linear layer.
        fitted: The probe.
    """
    if isinstance(fitted, FittedLinear):
        linear = net.get_submodule(classifier_path(net, "linear"))
        _fill(linear, {"weight": fitted.weight, "bias": fitted.bias})
    elif isinstance(fitted, FittedCosine):
        head = _head(net, "cosine", {})
        if isinstance(head, CosineHead):
            vectors = fitted.prototypes.vectors
            _fill(head, {"weight": vectors, "mean": fitted.prototypes.mean, "scale": fitted.scale})
    else:
        stored = fitted.stored
        head = _head(net, "knn", {"features": torch.from_numpy(stored.features)})
        if isinstance(head, NearestNeighbourHead):
            head.count = fitted.neighbours
            _fill(
                head,
                {
                    "mean": stored.mean,
                    "features": stored.features,
                    "targets": stored.targets,
                    "class_weights": stored.class_weights,
                    "neighbours": fitted.neighbours,
                    "temperature": fitted.temperature,
                },
            )


def _restore_linear(net: nn.Module) -> None:
    """Replace a head of an earlier fit by a linear layer, as `attach_head` needs it."""
    head = net.get_classifier()  # type: ignore[operator]  # part of timm's interface
    if isinstance(head, CosineHead | NearestNeighbourHead):
        path = next(name for name, module in net.named_modules() if module is head)
        net.set_submodule(path, nn.Linear(head.in_features, head.out_features))


def _head(net: nn.Module, name: str, stored: Mapping[str, Tensor]) -> nn.Module:
    path = classifier_path(net, name)
    attach_head(net, name, {f"{path}.{key}": value for key, value in stored.items()})
    return net.get_submodule(path)


@torch.no_grad()
def _fill(module: nn.Module, values: Mapping[str, object]) -> None:
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    for name, value in values.items():
        tensors[name].copy_(torch.as_tensor(np.asarray(value)))


def head_logits(net: nn.Module, features: Tensor) -> Tensor:
    """Return the logits (N, K) that a network's classifier computes from features (N, D)."""
    head: nn.Module = net.get_classifier()  # type: ignore[operator]  # part of timm's interface
    device = next(iter([*head.parameters(), *head.buffers()])).device
    with torch.inference_mode():
        parts = [head(part.to(device)).float().cpu() for part in torch.split(features, _BLOCK)]
    return torch.cat(parts) if parts else features.new_zeros(0, 0)


def _setting_text(setting: Setting) -> str:
    return ", ".join(f"{name} {_value_text(value)}" for name, value in setting.items())


def _value_text(value: float | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
