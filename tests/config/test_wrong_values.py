"""Every option of data, augmentation, balancing and optimisation rejects a wrong value in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from heritage.config.faults import FaultyConfigError
from heritage.config.validate import validate
from tests.config.test_composition import FILES, NEEDED, ROOT, composed

GROUPS = ("data", "data/split", "augment", "augment/ops", "augment/mix", "balance/sampling",
          "balance/weighting", "balance/loss", "balance/schedule", "scheduler", "optimizer", "finetune",
          "model")  # fmt: skip
PRESETS = [
    path.relative_to(ROOT).with_suffix("").as_posix()
    for path in FILES
    if path.relative_to(ROOT).parent.as_posix() in GROUPS and not path.stem.startswith("_")
]


def leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if not str(key).startswith("_"):
                yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


def chosen(preset: str) -> DictConfig:
    group, option = preset.rsplit("/", 1)
    if group == "augment/ops":
        group, preset = "augment/ops@augment.train", preset
    cfg = composed("train", [f"{group}={option}", *NEEDED.get(preset, [])])
    del cfg["hydra"]
    OmegaConf.set_struct(cfg, False)
    return cfg


def nonsense(value: Any) -> tuple[Any, ...]:
    """Return two invalid values for an option with this valid one; none for names and paths."""
    if isinstance(value, bool):
        return "perhaps", 7
    if isinstance(value, int | float):
        return "rubbish", -(10**9)
    if isinstance(value, list):
        return {"rubbish": 1}, 5
    if value is None:
        return {"rubbish": 1}, {"rubbish": 2}
    return ()


@pytest.mark.parametrize("preset", PRESETS)
def test_each_option_rejects_a_wrong_value(preset: str) -> None:
    valid = chosen(preset)
    validate(valid, "train")
    top = preset.split("/")[0]
    options = list(leaves(OmegaConf.to_container(valid[top], resolve=True), top))
    for which in (0, 1):
        cfg, changed = valid.copy(), []
        for path, value in options:
            if wrong := nonsense(value):
                OmegaConf.update(cfg, path, wrong[which], merge=False)
                changed.append(path)
        if not changed:
            return
        with pytest.raises(FaultyConfigError) as caught:
            validate(cfg, "train")
        assert all("\n" not in fault for fault in caught.value.faults)
        named = " ".join(caught.value.faults)
        # a value inside a mapping is named by the mapping
        unnamed = [path for path in changed if path not in named]
        assert [path for path in unnamed if path.rsplit(".", 1)[0] + "={" not in named] == []


@pytest.mark.parametrize("target", ["all", 0, float("inf"), float("nan")])
def test_a_target_is_a_finite_number_or_the_largest_class(target: Any) -> None:
    cfg = chosen("balance/sampling/oversample")
    OmegaConf.update(cfg, "balance.sampling.target", target)
    with pytest.raises(FaultyConfigError, match=r"balance\.sampling\.target"):
        validate(cfg, "train")


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"rank": 4}, "should have the key kind; give finetune.adapters.kind=…"),
        ({"kind": "lora2"}, "its key kind should be one of 'lora', 'adapter'"),
    ],
)
def test_adapters_are_of_a_known_kind(value: Any, fault: str) -> None:
    cfg = chosen("finetune/lora")
    OmegaConf.update(cfg, "finetune.adapters", value, merge=False)
    with pytest.raises(FaultyConfigError, match=re.escape(fault)):
        validate(cfg, "train")
