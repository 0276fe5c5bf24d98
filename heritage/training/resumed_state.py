"""Check the training state of a checkpoint against what was built, before it is restored.

torch and Lightning restore whatever a checkpoint holds. A list that is too short or a missing moment estimate
would fail some steps later, and a NaN would only show as a NaN loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from heritage.core.numbers import counted
from heritage.errors import CheckpointError
from heritage.models.checkpoint_file import network_weights
from heritage.models.weights import OUR_PREFIX

_REMEDY = "it is damaged or of another run: remove it, and the run starts again"
_PROGRESS = ("epoch_progress", "epoch_loop.batch_progress")
"""What Lightning needs to resume at the right step; without them it would start again without a word."""
_MAX_COUNT = 2**53
_NOT_NEGATIVE = ("lr", "initial_lr", "max_lr", "min_lr", "weight_decay", "eps")
_BELOW_ONE = ("betas", "momentum", "base_momentum", "max_momentum", "dampening")
# What optimizers of others may raise for parameters without data.
_NO_REFERENCE = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError)


class ResumedState:
    """The training state of a checkpoint that a run resumes from.

    Args:
        checkpoint: The content of the checkpoint.
        file: Its file, for messages.
    """

    def __init__(self, checkpoint: dict[str, Any], file: Path) -> None:
        self._checkpoint = checkpoint
        self._file = file

    def check_progress(self, trainer: pl.Trainer) -> None:
        """Check weights, loops, callbacks and precision, before any of them is restored.

        Raises:
            CheckpointError: A value has another type, length or shape than the trainer's own, or is not
                finite.
        """
        state = self._checkpoint
        for name in ("state_dict", "current_model_state"):  # the latter with an average of the weights
            if name in state:
                network_weights(state[name], OUR_PREFIX, self._file)
        if "averaging_state" in state:
            fresh_average = {"n_averaged": torch.tensor(0)}
            self._compare(state["averaging_state"], fresh_average, "averaging_state")
        fit = self._mapping(self._mapping(state.get("loops"), "loops").get("fit_loop"), "loops.fit_loop")
        fresh = trainer.fit_loop.state_dict()
        for key in dict.fromkeys((*_PROGRESS, *fresh)):
            if key in fit or key in _PROGRESS:
                self._compare(fit.get(key), fresh.get(key), f"loops.fit_loop.{key}")
        self._check_epochs(fit, trainer)
        own = self._mapping(fit.get("state_dict"), "loops.fit_loop.state_dict").get("combined_loader")
        if not isinstance(own, list | tuple) or len(own) != 1:
            raise self._fault("loops.fit_loop.state_dict.combined_loader", "is not a list of 1")
        saved = self._mapping(state.get("callbacks"), "callbacks")
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if callback.state_key in saved:
                name = f"callbacks.{type(callback).__name__}"
                own = self._mapping(saved[callback.state_key], name)
                self._compare(own, callback.state_dict(), name, same=False)
        plugin = trainer.precision_plugin
        if (name := type(plugin).__qualname__) in state:
            self._compare(self._mapping(state[name], name), plugin.state_dict(), name, same=False)

    def _check_epochs(self, fit: Mapping[str, Any], trainer: pl.Trainer) -> None:
        """Check that the run has as many epochs and steps as were counted: otherwise it would end at once."""
        steps = fit.get("epoch_loop.automatic_optimization.optim_progress", {}).get("optimizer", {})
        limits = (
            ("epoch_progress", fit["epoch_progress"], trainer.max_epochs, "epoch"),
            ("optimizer.step", steps.get("step", {}), trainer.max_steps, "step"),
        )
        for key, progress, most, noun in limits:
            for part in ("total", "current"):
                for name, count in progress.get(part, {}).items():
                    if most is not None and 0 <= most < count:
                        what = f"is {count:,}, and this run has {counted(most, noun)}"
                        raise self._fault(f"loops.fit_loop.{key}.{part}.{name}", what)

    def check_optimizer(
        self,
        optimizer: torch.optim.Optimizer,
        scheduler: Any | None,
        build: Callable[[nn.Module], torch.optim.Optimizer],
        net: nn.Module,
    ) -> None:
        """Check the state of the optimizer and of its schedule.

        Flags of parameter groups (``fused``, ``foreach``, …) depend on the machine: in the checkpoint they
        are replaced by those of the optimizer.

        Args:
            optimizer: The optimizer, with its schedule already made.
            scheduler: The schedule; None if there is none.
            build: Builds such an optimizer of a network.
            net: The network.

        Raises:
            CheckpointError: As for `check_progress`.
        """
        saved = self._one("optimizer_states", 1)[0]
        saved, fresh = self._mapping(saved, "optimizer_states.0"), optimizer.state_dict()
        key = "optimizer_states.0.param_groups"
        self._compare(saved.get("param_groups"), fresh["param_groups"], key, flags=False)
        for own, built in zip(saved["param_groups"], fresh["param_groups"], strict=True):
            if list(own["params"]) != built["params"]:
                raise self._fault(key, "groups the parameters otherwise")
            for name, value in own.items():
                if (what := _range_fault(name, value)) is not None:
                    raise self._fault(f"{key}.{name}", what)
            own.update({name: value for name, value in built.items() if _is_flag(value)})
        self._check_moments(saved, optimizer, _empty_state(build, net))
        schedules = self._one("lr_schedulers", 0 if scheduler is None else 1)
        if scheduler is not None:
            own = self._mapping(schedules[0], "lr_schedulers.0")
            self._compare(own, scheduler.state_dict(), "lr_schedulers.0")
            total = getattr(scheduler, "total_steps", None)
            if total is not None and own.get("last_epoch", 0) > total:
                raise self._fault("lr_schedulers.0.last_epoch", "is after the end of the schedule")
            if total is not None and own.get("total_steps", total) < total:
                what = f"ends after {own['total_steps']:,} steps, and this run has {total:,}"
                raise self._fault("lr_schedulers.0.total_steps", what)

    def _check_moments(
        self, saved: Mapping[str, Any], optimizer: torch.optim.Optimizer, reference: dict[int, Any]
    ) -> None:
        """Check the state of each parameter, such as its momentum; parameters that are frozen have none."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        moments = self._mapping(saved.get("state"), "optimizer_states.0.state")
        if any(reference.values()) and not any(moments.values()) and self._checkpoint.get("global_step"):
            raise self._fault("optimizer_states.0.state", "is empty")
        for index, own in moments.items():
            key = f"optimizer_states.0.state.{index}"
            if type(index) is not int or not 0 <= index < len(parameters):
                raise self._fault(key, "belongs to no parameter")
            if not self._mapping(own, key):
                continue
            self._compare(own, reference.get(index, {}), key)
            for name, value in own.items():
                if isinstance(value, Tensor):
                    self._require_moment(value, parameters[index], f"{key}.{name}")

    def _require_moment(self, value: Tensor, parameter: Tensor, key: str) -> None:
        if value.dim() and value.shape != parameter.shape:
            raise self._fault(key, f"has shape {list(value.shape)}, its parameter {list(parameter.shape)}")
        if not bool(torch.isfinite(value).all()):
            raise self._fault(key, "is not finite")

    def _one(self, key: str, length: int) -> list[Any]:
        value = self._checkpoint.get(key)
        if not isinstance(value, list | tuple) or len(value) != length:
            raise self._fault(key, f"is not a list of {length}")
        return list(value)

    def _mapping(self, value: Any, key: str) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise self._fault(key, "is not a mapping" if value is not None else "is missing")
        return value

    def _compare(self, saved: Any, fresh: Any, key: str, *, same: bool = True, flags: bool = True) -> None:
        """Check that a value has the type, length and shape of the one that was built.

        Args:
            saved: The value in the checkpoint.
            fresh: The value that was built.
            key: Its key, for messages.
            same: Keys and lengths must be the same; otherwise only what both have is compared.
            flags: Compare strings and truth values, too.
        """
        if _is_flag(fresh) and not (same and flags):
            return
        if isinstance(fresh, dict):
            own = self._mapping(saved, key)
            for name, value in fresh.items():
                if name in own:
                    self._compare(own[name], value, f"{key}.{name}", same=same, flags=flags)
                elif same and not _is_flag(value):  # versions of torch differ in flags
                    raise self._fault(f"{key}.{name}", "is missing")
        elif isinstance(fresh, list | tuple):
            if not isinstance(saved, list | tuple) or (same and len(saved) != len(fresh)):
                raise self._fault(key, f"is not a list of {len(fresh)}")
            for place, (own_value, value) in enumerate(zip(saved, fresh, strict=False)):
                self._compare(own_value, value, f"{key}.{place}", same=same, flags=flags)
        elif (fault := _value_fault(saved, fresh)) is not None:
            raise self._fault(key, fault)

    def _fault(self, key: str, what: str) -> CheckpointError:
        return CheckpointError(
            f"training cannot continue from it: {key} {what}", where=self._file, remedy=_REMEDY
        )


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool | str)


def _value_fault(saved: Any, fresh: Any) -> str | None:
    """Return what is wrong with a number, text or tensor; None if nothing is."""
    if isinstance(fresh, Tensor):
        if not isinstance(saved, Tensor) or (fresh.device.type != "meta" and saved.shape != fresh.shape):
            return f"is no tensor of shape {list(fresh.shape)}"
        return None if _is_finite_like(saved, fresh) else "is not finite"
    if isinstance(fresh, bool) or fresh is None:
        return (
            None
            if type(saved) is type(fresh)
            else f"is not {'true or false' if fresh is not None else 'null'}"
        )
    if isinstance(fresh, str):
        return None if saved == fresh else f"is not {fresh}"
    if isinstance(fresh, int):
        whole = type(saved) is int and abs(saved) <= _MAX_COUNT
        return None if whole and (saved >= 0 or fresh < 0) else "is no whole number from 0"
    if isinstance(fresh, float):
        number = type(saved) is float or (type(saved) is int and abs(saved) <= _MAX_COUNT)
        if not number or math.isnan(saved) or (math.isinf(saved) and not math.isinf(fresh)):
            return "is no finite number"
    return None


def _range_fault(name: str, value: Any) -> str | None:
    """Return what is wrong with a setting of a parameter group; None if nothing is.

    torch checks these when an optimizer is made, and not when its state is restored.
    """
    values = value if isinstance(value, list | tuple) else [value]
    numbers = [number for number in values if type(number) in (int, float)]
    if name not in _NOT_NEGATIVE + _BELOW_ONE or not numbers:
        return None
    if min(numbers) < 0:
        return "is negative"
    return "is not below 1" if name in _BELOW_ONE and max(numbers) >= 1 else None


def _is_finite_like(saved: Tensor, fresh: Tensor) -> bool:
    if fresh.device.type == "meta":
        return True  # compared with the parameter instead
    if bool(torch.isfinite(fresh).all()):
        return bool(torch.isfinite(saved).all())
    return not bool(torch.isnan(saved).any())  # the best value before the first validation is infinite


def _empty_state(
    build: Callable[[nn.Module], torch.optim.Optimizer], net: nn.Module
) -> dict[int, dict[str, Any]]:
    """Return the state after the first step of an optimizer, by parameter, with tensors on the meta device.

    Nothing is allocated. Empty where an optimizer cannot step on that device.
    """
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
        for parameter in net.parameters()
    }
    memo |= {id(buffer): torch.empty_like(buffer, device="meta") for buffer in net.buffers()}
    try:
        shapes = copy.deepcopy(net, memo)
        optimizer = build(shapes)
        for parameter in shapes.parameters():
            parameter.grad = torch.empty_like(parameter)
        optimizer.step()
    except _NO_REFERENCE:
        return {}
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return state
