"""The option ``prior=``: the class frequencies that predictions are for, from what a user wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias, cast

import numpy as np

from heritage.core.numbers import percent
from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError
from heritage.metrics.calibration import Floats
from heritage.metrics.prior import class_shares
from heritage.runs.validation_outputs import ValidationOutputs

Prior: TypeAlias = str | Mapping[str, float]
"""``uniform``, ``estimate``, or class → share, in shares of 1 or in percent."""

UNIFORM, ESTIMATE = "uniform", "estimate"
_ROUNDING = 0.005  # of the sum of the shares, which users round
_LEAST = 1e-6  # of a share: factors and weights are computed from its logarithm and ratio
_MOST = 1e9  # of a share: whole numbers beyond the range of floats are larger than any sum
_EXAMPLE = "give shares of 1, such as prior={a:0.8,b:0.2}, or prior=uniform"


def read_prior(prior: object, classes: Sequence[str], *, estimate: bool = False) -> dict[str, float] | str:
    """Check a prior as far as it can be without validation images.

    Args:
        prior: What a user wrote.
        classes: The class list.
        estimate: Whether ``estimate`` is possible.

    Returns:
        ``uniform``, ``estimate``, or shares of 1 by class; classes may be missing.

    Raises:
        ConfigError: It names no class or one that the network does not have, a share is not a number above 0,
            or shares do not sum to 1 or 100.
    """
    if isinstance(prior, str):
        if prior == UNIFORM or (estimate and prior == ESTIMATE):
            return prior
        if prior == ESTIMATE:
            raise _refused(
                prior,
                "an estimate needs all images before the first prediction",
                "give shares; `heritage evaluate prior=estimate` estimates those of a data set",
            )
        raise _refused(prior, "no such prior", suggestion(prior, [UNIFORM], _EXAMPLE))
    if not isinstance(prior, Mapping) or not prior:
        raise _refused(prior, "names no class", _EXAMPLE)
    shares: dict[str, float] = {}
    for key, value in prior.items():
        name = str(key)
        if name not in classes:
            raise _refused(prior, f"the network has no class '{name}'", suggestion(name, classes))
        if isinstance(value, bool) or not isinstance(value, Real):
            fault = f"the share of {name} is {value!r}, not a number above 0"
            raise _refused(prior, fault, "give 0.8, or 80 for 80 %")
        share = cast("float", value)  # numpy's numbers are Real, too
        if not _LEAST <= share < math.inf:
            fault = f"the share of {name} is {value}, not a number above 0"
            raise _refused(prior, fault, "give a small share, such as 0.001")
        shares[name] = float(min(share, _MOST))
    return _normalised(prior, shares, [name for name in classes if name not in shares])


def _normalised(prior: object, shares: dict[str, float], missing: Sequence[str]) -> dict[str, float]:
    """Return shares of 1; shares of which one is above 1 are percentages."""
    total = sum(shares.values())
    whole = 1.0 if max(shares.values()) <= 1 else 100.0
    if missing and total > whole * (1 + _ROUNDING):
        raise _refused(prior, f"the shares sum to {total:g}, more than {whole:g}", _EXAMPLE)
    if not missing:
        if abs(total / whole - 1) > _ROUNDING:
            raise _refused(prior, f"the shares sum to {total:g}, not to 1 or 100", _EXAMPLE)
        return {name: share / total for name, share in shares.items()}
    if total >= whole * (1 - 1e-9):
        raise _refused(
            prior,
            f"the shares sum to {total:g}, and nothing is left for {', '.join(missing)}",
            "give each class a share above 0, or the named ones less",
        )
    return {name: share / whole for name, share in shares.items()}


def prior_shares(prior: dict[str, float] | str, outputs: ValidationOutputs) -> Floats:
    """Return the share of each class, (K,).

    Classes that a prior does not name share the rest, in the proportions that they have in validation.

    Args:
        prior: From `read_prior`, not ``estimate``.
        outputs: The network's validation logits.
    """
    classes = outputs.classes
    if isinstance(prior, str):
        return np.full(len(classes), 1 / len(classes))
    source = class_shares(outputs.targets, len(classes))
    named = np.array([name in prior for name in classes])
    rest = 1 - sum(prior.values())
    scale = rest / source[~named].sum() if (~named).any() else 0.0
    shares = np.array([prior[name] if name in prior else scale * source[k] for k, name in enumerate(classes)])
    normalised: Floats = shares / shares.sum()
    return normalised


def require_validation(outputs: ValidationOutputs | None, prior: object) -> ValidationOutputs:
    """Return validation logits with images of each class.

    Raises:
        ConfigError: There are none, or a class has no image.
    """
    if outputs is None:
        raise _refused(
            prior,
            "the run folder has no validation logits, from which the network's own prior is fitted",
            "`heritage evaluate ckpt=<run folder>` writes them, with the same tta=",
        )
    counts = np.bincount(outputs.targets, minlength=len(outputs.classes))
    if absent := [name for name, count in zip(outputs.classes, counts, strict=True) if not count]:
        raise _refused(
            prior,
            f"no validation image of {', '.join(absent)}: the network's own prior is not known",
            "leave prior out, or use a validation split with every class",
        )
    return outputs


def shares_text(shares: Floats, classes: Sequence[str]) -> str:
    """Return a prior in one line, the most frequent class first: ``byzantium 80.0%, islam 20.0%``."""
    order = np.argsort(-shares, kind="stable")
    return ", ".join(f"{classes[k]} {percent(float(shares[k]))}" for k in order)


def _refused(prior: Any, what: str, remedy: str) -> ConfigError:
    text = str(dict(prior)) if isinstance(prior, Mapping) else str(prior)
    return ConfigError(what, where=f"prior={text[:200]}", remedy=remedy)
