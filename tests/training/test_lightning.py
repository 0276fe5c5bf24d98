"""Lightning's interface: the module in any trainer, the data in any module, checkpoints without arguments."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch import nn

import heritage
from heritage.errors import CheckpointError, ConfigError
from heritage.features.predict_loop import ModelOutputs
from heritage.models.network import input_spec
from heritage.runs.files import (
    BEST_CHECKPOINT,
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    DATA_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    REPORT_FILE,
)
from heritage.runs.run_result import RunResult
from heritage.training.build import build_data, build_loss, build_network
from heritage.training.run import TrainingRun
from heritage.training.trainer import quiet_lightning
from tests.compat.test_made_at_77e9764 import ARCHIVE
from tests.conftest import COUNTS, TINY, Command

Build = Callable[..., TrainingRun]


@pytest.fixture
def build(tree: Path, tmp_path: Path) -> Build:
    """Build a tiny run by overrides."""

    def build(*overrides: str, folder: str = "python") -> TrainingRun:
        words = [*TINY, *overrides, f"data.root={tree}", f"hydra.run.dir={tmp_path / folder}"]
        return heritage.build(heritage.compose("train", words))

    return build


def named(metrics: dict[str, float]) -> dict[str, float]:
    """Return test metrics by the names that Lightning logs."""
    return {f"test/{name}": value for name, value in metrics.items()}


def plain_trainer(**options: Any) -> pl.Trainer:
    quiet_lightning()  # of Lightning's own warnings only
    return pl.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, **options,
    )  # fmt: skip


def test_fit_test_and_report_leave_the_folder_of_the_command(
    build: Build, heritage: Command, tree: Path, tmp_path: Path
) -> None:
    run = build("target_precision=0.9")
    run.fit()
    metrics = run.test()
    result = run.report()
    theirs = tmp_path / "command"
    words = (*TINY, "target_precision=0.9", f"data.root={tree}", f"hydra.run.dir={theirs}")
    done = heritage("train", *words)
    assert done.code == 0, done.err

    names = [{path.relative_to(one).as_posix() for path in one.rglob("*")} for one in (run.folder, theirs)]
    assert names[1] - names[0] == {"train.log"}
    assert names[0] - names[1] == set()
    hydra = (".hydra/overrides.yaml", ".hydra/config.yaml", ".hydra/hydra.yaml")
    for name in (PREDICTIONS_FILE, "calibration.json", DATA_FILE, *hydra):
        mine, other = ((one / name).read_text(errors="replace") for one in (run.folder, theirs))
        assert mine.replace(str(run.folder), "RUN") == other.replace(str(theirs), "RUN"), name
    configs = [(one / CONFIG_FILE).read_text().replace(str(one), "RUN") for one in (run.folder, theirs)]
    assert configs[0] == configs[1]
    states = [
        torch.load(one / CHECKPOINTS_FOLDER / BEST_CHECKPOINT, weights_only=True)["state_dict"]
        for one in (run.folder, theirs)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    records = [json.loads((one / METRICS_FILE).read_text()) for one in (run.folder, theirs)]
    facts = [record.pop("facts") for record in records]
    assert records[0] == records[1]
    facts[0].pop("training"), facts[1].pop("training")  # it holds seconds
    assert facts[0] == facts[1]
    assert "resnet10t" in facts[0]["model"]

    assert result.folder == run.folder
    assert result.report == run.folder / REPORT_FILE
    assert result.metrics["accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-12)
    assert float(result) == result.metrics["val/macro_f1"]
    assert metrics.keys() - {"loss"} <= result.metrics.keys(), "one set of names"
    assert result.metrics == RunResult("train", theirs).metrics
    assert "accuracy" in result._repr_html_()


@pytest.mark.parametrize("callbacks", ["default", "ema"])
def test_the_trainers_metrics_are_those_of_the_report(build: Build, callbacks: str) -> None:
    words = [f"callbacks={callbacks}", "trainer.max_epochs=3", "augment=none"]
    run = build(*words, *(["callbacks.ema.from_step=0"] if callbacks == "ema" else []))
    run.fit()
    ours = run.test()
    run.report()
    best = run.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
    (logged,) = run.trainer.test(run.classifier, datamodule=run.data, ckpt_path=best, verbose=False)
    assert logged == pytest.approx(named(ours), abs=1e-6)
    record = json.loads((run.folder / METRICS_FILE).read_text())
    assert logged["test/accuracy"] == pytest.approx(record["accuracy"], abs=1e-6)
    assert logged["test/macro_f1"] == pytest.approx(record["macro_avg"]["f1"], abs=1e-6)
    for name, one in record["classes"].items():
        assert logged[f"test/recall/{name}"] == pytest.approx(one["recall"], abs=1e-6)

    (validated,) = run.trainer.validate(run.classifier, datamodule=run.data, ckpt_path=best, verbose=False)
    epochs = run.report().metrics
    assert validated["val/macro_f1"] == pytest.approx(epochs["val/macro_f1"], abs=1e-6)
    assert validated["val/loss"] == pytest.approx(epochs["val/loss"], abs=1e-6)

    batches = run.trainer.predict(run.classifier, datamodule=run.data, ckpt_path=best)
    predictions = ModelOutputs.concatenate(batches)  # type: ignore[arg-type]
    table = pq.read_table(run.folder / PREDICTIONS_FILE).to_pydict()
    for k, name in enumerate(run.data.classes):
        assert predictions.probabilities[:, k] == pytest.approx(table[f"p_{name}"], abs=1e-6)


def test_a_classifier_loads_from_its_checkpoint_alone(build: Build) -> None:
    run = build()
    run.fit()
    metrics = run.test()
    best = run.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
    for path in (best, str(best), run.folder):
        classifier = heritage.Classifier.load_from_checkpoint(path)
        (logged,) = plain_trainer().test(classifier, datamodule=run.data, verbose=False)
        assert logged == pytest.approx(named(metrics), abs=1e-6)
    assert classifier.classes == run.data.classes
    assert classifier.hparams["fingerprint"] == run.data.manifest.fingerprint
    # what Lightning itself keeps of the hyper-parameters is plain data, too
    saved = torch.load(best, weights_only=True)
    assert saved["hyper_parameters"]["classes"] == list(COUNTS)
    assert saved["hyper_parameters"]["config"]["seed"] == 0

    with pytest.raises(ConfigError, match="no optimizer"):
        plain_trainer(max_epochs=1).fit(classifier, datamodule=run.data)
    with pytest.raises(ConfigError, match="weights_only=False"):
        heritage.Classifier.load_from_checkpoint(best, weights_only=False)
    classifier = heritage.Classifier.load_from_checkpoint(
        best, optimizer=lambda net: torch.optim.SGD(net.parameters(), 0.01)
    )
    plain_trainer(max_epochs=1).fit(classifier, datamodule=run.data)
    assert classifier.total_steps == len(run.data.train_dataloader())


def test_checkpoints_of_version_0_1_load(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    checkpoints = sorted(tmp_path.rglob(f"{CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT}"))
    assert len(checkpoints) >= 3
    for path in checkpoints:
        classifier = heritage.Classifier.load_from_checkpoint(path).eval()
        size = input_spec(classifier.net).image_size
        images = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        assert classifier(images).shape == (2, len(classifier.classes))
        assert "target_precision" in classifier.hparams["config"]


def test_a_checkpoint_names_no_function_but_a_registered_builder(build: Build, tmp_path: Path) -> None:
    run = build()
    run.fit()
    state = torch.load(run.folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT, weights_only=True)
    for target, reason in (
        ("os.mkdir", "not this package's"),
        ("torch.load", "not this package's"),
        ("heritage.models.backbone.timm.create_model", "this package does not define"),
    ):
        state["heritage"]["config"]["model"] = {"_target_": target, "path": str(tmp_path / "harm")}
        torch.save(state, hostile := tmp_path / "hostile.ckpt")
        with pytest.raises(CheckpointError, match=reason):
            heritage.Classifier.load_from_checkpoint(hostile)
    assert not (tmp_path / "harm").exists()


def test_a_plain_trainer_trains_the_classifier(build: Build) -> None:
    run = build("scheduler=plateau", "augment=none")
    before = {name: value.clone() for name, value in run.classifier.state_dict().items()}
    trainer = plain_trainer(max_epochs=2)
    trainer.fit(run.classifier, datamodule=run.data)
    after = run.classifier.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert trainer.callback_metrics["val/macro_f1"] >= 0


class ForeignModule(pl.LightningModule):
    """A module of ten lines, independent of this package."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss = nn.functional.cross_entropy(self.net(batch.images / 255), batch.targets)
        self.log("loss", loss, on_epoch=True, batch_size=len(batch.targets))
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("hits", (self.net(batch.images / 255).argmax(1) == batch.targets).float().mean())

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def test_the_data_module_serves_any_lightning_module(tree: Path) -> None:
    data = build_data(heritage.compose("train", TINY, data__root=tree))
    assert isinstance(data, heritage.ArtefactDataModule)
    module = ForeignModule(len(data.classes))
    module.net(torch.zeros(1, 32, 32, 3))
    trainer = plain_trainer(max_epochs=2)
    trainer.fit(module, datamodule=data)
    assert trainer.callback_metrics["loss"] > 0
    (tested,) = trainer.test(module, datamodule=data, verbose=False)
    assert 0 <= tested["hits"] <= 1


def test_the_parts_of_a_run_can_be_built_one_by_one(tree: Path) -> None:
    cfg = heritage.compose("train", TINY, data__root=tree, balance="weights")
    data = build_data(cfg)
    net = build_network(cfg, data)
    loss = build_loss(cfg, data)
    batch = next(iter(data.train_dataloader()))
    classifier = heritage.Classifier(net, data.classes, criterion=loss)
    assert classifier(batch.images).shape == (len(batch.targets), len(COUNTS))
    assert loss(classifier(batch.images), batch.targets) > 0
    assert loss.weights is not None


def test_a_multirun_returns_an_objective_for_each_job(tree: Path, tmp_path: Path) -> None:
    words = [*TINY, "seed=0,1", f"data.root={tree}", f"paths.outputs={tmp_path}"]
    for _ in range(2):  # the second time all jobs are finished
        result = heritage.run("train", *words, multirun=True)
        jobs = [job for batch in result.value for job in batch]
        assert len(jobs) == 2
        for seed, job in enumerate(jobs):
            assert f"seed={seed}" in job.overrides
            best = json.loads((Path(job.working_dir) / METRICS_FILE).read_text())
            assert job.return_value.metrics["accuracy"] == best["accuracy"]
            assert float(job.return_value) == job.return_value.metrics["val/macro_f1"]


def test_the_objective_can_be_chosen(build: Build, tree: Path, tmp_path: Path) -> None:
    run = build("objective=val/accuracy", "trainer.max_epochs=2")
    run.fit()
    result = run.report()
    assert result.objective == result.metrics["val/accuracy"]
    assert OmegaConf.load(run.folder / CONFIG_FILE).objective == "val/accuracy"
    with pytest.raises(ConfigError, match="validation logs no metric 'val/acuracy'"):
        build("objective=val/acuracy", folder="wrong")
