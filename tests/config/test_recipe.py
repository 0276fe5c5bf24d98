"""A model preset brings its optimiser and learning rate; the command line overrides both."""

from __future__ import annotations

import pytest

from tests.config.test_composition import composed


@pytest.mark.parametrize(
    ("words", "target", "rate"),
    [
        ([], "adam", 2e-3),
        (["model=vit"], "muon", 1e-3),
        (["model=vit", "optimizer.lr=0.5"], "muon", 0.5),
        (["model=vit", "optimizer=adamw"], "adam", 3e-4),
        (["model=vit", "optimizer=adamw", "optimizer.lr=0.5"], "adam", 0.5),
        (["model=vit", "optimizer=adamw", "recipe=none"], "adam", 2e-3),
        (["model=vit_pretrained"], "adam", 1e-4),
        (["model=convnext_tiny"], "adam", 1e-4),
        (["model=maxvit_tiny", "optimizer.lr=0.5"], "adam", 0.5),
        (["model=vit", "optimizer=sgd"], "sgd", 0.05),
        (["optimizer=muon"], "muon", 3e-3),
        (["optimizer=muon", "recipe=none"], "muon", 1e-3),
        (["model=resnet18", "optimizer=muon"], "muon", 1e-3),
        (["+experiment=recommended_scratch"], "muon", 3e-3),
        (["recipe=adamw_vit"], "adam", 3e-4),
        (["model=resnet50"], "adam", 5e-4),
        (["model=resnet50", "model.weights=none"], "adam", 2e-3),
        (["model=efficientnet_b2", "finetune=last_n"], "adam", 5e-4),
        (["model=efficientnet_b2", "finetune=gradual"], "adam", 5e-4),
        (["model=efficientnet_b1", "finetune=head"], "adam", 2e-3),
        (["model=efficientnet_b0", "optimizer=adam"], "adam", 1e-3),
        (["model=resnet50", "recipe=none"], "adam", 2e-3),
        (["model=timm", "model.name=resnet50.tv_in1k", "optimizer.lr=0.5"], "adam", 0.5),
        (["model.weights=best.ckpt"], "adam", 5e-4),
        (["+experiment=crt", "model.weights=best.ckpt"], "adam", 2e-3),
    ],
)
def test_the_optimiser_follows_the_model_and_the_command_line(
    words: list[str], target: str, rate: float
) -> None:
    optimizer = composed("train", words).optimizer
    assert (optimizer["_target_"], optimizer.lr) == (f"heritage.training.optimizers.{target}", rate)


def test_the_weights_command_accepts_models_with_a_recipe() -> None:
    assert composed("weights", ["model=vit"]).model.size == "mini"


@pytest.mark.parametrize(
    ("overrides", "epochs"),
    [([], 15), (["model=vit"], 25), (["data=class_folders", "data.root=/x"], 25),
     (["model.weights=imagenet"], 25), (["trainer=debug"], 40), (["trainer.max_epochs=3"], 3)],
)  # fmt: skip
def test_only_the_default_network_is_trained_for_fewer_epochs_on_the_demo_set(
    overrides: list[str], epochs: int
) -> None:
    assert composed("train", overrides).trainer.max_epochs == epochs


@pytest.mark.parametrize(
    ("overrides", "every"),
    [([], 3), (["model=vit"], 1), (["data=class_folders", "data.root=/x"], 1),
     (["trainer.check_val_every_n_epoch=2"], 2)],
)  # fmt: skip
def test_only_the_default_network_on_the_demo_set_is_validated_less_often(
    overrides: list[str], every: int
) -> None:
    assert composed("train", overrides).trainer.check_val_every_n_epoch == every
