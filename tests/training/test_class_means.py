"""The classifier of the nearest class mean, and light fine-tuning through the real objects."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.neighbors import NearestCentroid

import heritage
from heritage.exporters.formats.safetensors import as_timm
from heritage.inference.checkpoint import load_checkpoint, merged
from heritage.models.adapters import adapter_names
from heritage.models.vit_sizes import vit
from heritage.training.build import build
from heritage.training.class_means import nearest_mean
from tests.models.foreign_checkpoints import NETWORK
from tests.training.test_resumed_state import StopInSecondEpoch


def test_the_nearest_mean_is_predicted() -> None:
    random = np.random.default_rng(0)
    targets = np.repeat([0, 1, 3], [40, 10, 25])
    features = random.normal(size=(75, 6)) + 1.5 * random.normal(size=(4, 6))[targets] + 7
    weight, bias = nearest_mean(features, targets, 4)
    logits = features @ weight.T + bias
    expected = NearestCentroid().fit(features, targets).predict(features)
    np.testing.assert_array_equal(logits[:, [0, 1, 3]].argmax(axis=1), np.searchsorted([0, 1, 3], expected))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert 0.4 < shares[np.arange(75), targets].mean() < 1, "probabilities fit the features"


def compose(tree: Path, folder: Path, *words: str) -> Any:
    pretrained = folder / "pretrained.safetensors"
    if not pretrained.is_file():
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        save_file(vit(**NETWORK, num_classes=6, image_size=32).state_dict(), pretrained)
    sizes = (f"model.{name}={NETWORK[name]}" for name in ("width", "depth", "heads", "patch_size", "stem",
             "mlp_ratio", "drop_path"))  # fmt: skip
    return heritage.compose("train", [
        "data=class_folders", f"data.root={tree}", "data/split=image", "data.image_size=32",
        "data.num_workers=0", "data.batch_size=8", "model=vit", *sizes, f"model.weights={pretrained}",
        "trainer=cpu", "trainer.max_epochs=2", "logger=none", f"paths.outputs={folder}", *words,
    ])  # fmt: skip


LORA = ("finetune=lora", "finetune.adapters.rank=2", "finetune.classifier_init=class_means",
        "optimizer.layer_decay=0.7", "callbacks=ema")  # fmt: skip


def test_a_light_run_trains_little_and_is_complete(tree: Path, tmp_path: Path) -> None:
    outputs, folder = tmp_path / "outputs", tmp_path / "run"
    run = build(compose(tree, outputs, *LORA, f"paths.run={folder}"))
    net = run.classifier.net
    assert run.config["model"]["adapters"] == {"kind": "lora", "rank": 2, "alpha": 16, "where": "auto"}
    assert len(list((outputs / "features").iterdir())) == 1
    assert bool(net.get_parameter("head.weight").any()), "zero without the class means"
    before = {name: value.clone() for name, value in net.state_dict().items()}
    run.fit()
    run.test()
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == adapter_names(net) | {"head.weight", "head.bias"}
    trained = load_checkpoint(folder)
    x = torch.randint(0, 255, (2, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = trained.model(x)
        torch.testing.assert_close(merged(trained).model(x), expected, atol=1e-5, rtol=1e-5)
        assert as_timm(trained.model.net) is None
        assert as_timm(merged(trained).model.net) is not None
        shutil.rmtree(folder / "checkpoints")
        assert set(load_file(folder / "adapters.safetensors")) == moved
        shutil.copy(outputs / "pretrained.safetensors", folder)
        torch.testing.assert_close(load_checkpoint(folder).model(x), expected)


def test_a_light_run_resumes_bit_for_bit(tree: Path, tmp_path: Path) -> None:
    words = (*LORA, "finetune.norms=true")
    whole = build(compose(tree, tmp_path / "outputs", *words, f"paths.run={tmp_path / 'whole'}"))
    whole.fit()
    folder = tmp_path / "parts"
    first = build(compose(tree, tmp_path / "outputs", *words, f"paths.run={folder}"))
    first.trainer.callbacks.append(StopInSecondEpoch())  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    second = build(compose(tree, tmp_path / "outputs", *words, f"paths.run={folder}", "resume=true"))
    second.fit()
    assert second.trainer.current_epoch == 2
    for name, value in whole.classifier.net.state_dict().items():
        assert torch.equal(value, second.classifier.net.state_dict()[name]), name


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("finetune=lora", "finetune.adapters.rank=0"), r"finetune\.adapters=.*greater than or equal to 1"),
        (("finetune=lora", "finetune.unfreeze_every=1"), "gradual unfreezing trains whole blocks"),
        (("finetune=lora", "finetune.adapters.rank=8"), "no lower rank"),
        (("finetune=norms", "finetune.classifier_init=zeros"), r"finetune\.classifier_init=zeros"),
    ],
)
def test_what_does_not_fit_is_refused(tree: Path, tmp_path: Path, words: tuple[str, ...], match: str) -> None:
    with pytest.raises(heritage.HeritageError, match=match):
        build(compose(tree, tmp_path / "outputs", *words, f"paths.run={tmp_path / 'run'}"))


def test_adapters_in_an_untrained_network_are_a_warning(
    tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("finetune=adapter", "model.weights=none", f"paths.run={tmp_path / 'run'}")
    build(compose(tree, tmp_path / "outputs", *words))
    assert "in an untrained one all other layers stay random" in caplog.text
