"""The data module without a configuration: its defaults, and any LightningModule."""

from __future__ import annotations

import inspect
import shutil
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch import nn

import heritage
from heritage.data.batch import Batch
from heritage.data.sampling import InstanceBalanced
from heritage.data.split import by_group
from heritage.errors import DatasetNotFoundError
from heritage.training.trainer import quiet_lightning

SIZE = 32


class Plain(pl.LightningModule):
    """A network that knows nothing of this package."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE * 3, classes))
        self.seen = 0

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        self.seen += len(batch.targets)
        return nn.functional.cross_entropy(self.net(batch.images / 255), batch.targets)

    def validation_step(self, batch: Batch, _: int) -> None:
        self.log("loss", nn.functional.cross_entropy(self.net(batch.images / 255), batch.targets))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def test_a_plain_lightning_module_trains_on_a_folder_per_class(tree: Path) -> None:
    quiet_lightning()
    data = heritage.ArtefactDataModule(str(tree), image_size=SIZE, num_workers=0)
    network = Plain(len(data.classes))
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(network, datamodule=data)
    assert network.seen == len(data.rows("train")) > len(data.rows("val")) > 0
    assert trainer.callback_metrics["loss"] > 0
    assert set(data.classes) == {path.name for path in tree.iterdir()}


def test_a_data_set_folder_keeps_its_split(tree: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tree, tmp_path / "set"))
    first = heritage.ArtefactDataModule(root, split=partial(by_group, test=0.3, val=0.4, seed=5))
    first.manifest.write(root, {})
    again = heritage.ArtefactDataModule(root)
    assert again.manifest.column("split") == first.manifest.column("split")
    assert again.classes == first.classes
    assert heritage.ArtefactDataModule(tree).manifest.column("split") != first.manifest.column("split")


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="nowhere: no such folder; give the folder"):
        heritage.ArtefactDataModule(tmp_path / "nowhere")


def test_defaults_are_those_of_the_configuration(tree: Path) -> None:
    cfg = heritage.compose("train", ["data=class_folders", f"data.root={tree}"])
    parameters = inspect.signature(heritage.ArtefactDataModule).parameters
    for name in (
        "classes",
        "image_size",
        "crop_pct",
        "batch_size",
        "num_workers",
        "verify",
        "packed",
        "stage",
    ):
        assert parameters[name].default == cfg.data[name], name
    for name in ("train", "copies"):
        assert parameters[name].default == instantiate(cfg.augment[name], _convert_="all"), name
    split, written = parameters["split"].default, instantiate(cfg.data.split)
    assert isinstance(split, partial)
    assert (split.func, split.keywords) == (written.func, written.keywords)
    assert parameters["seed"].default == cfg.seed
    assert isinstance(instantiate(cfg.balance.sampling), InstanceBalanced)
    assert parameters["sampling"].default is None
