"""The class frequencies that a request names: ``POST /predict?prior=…``."""

from __future__ import annotations

import json
from collections.abc import Mapping

from heritage.errors import ConfigError
from heritage.inference.prior import UNIFORM, Prior
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.read_rule import under_prior
from heritage.server.schemas import RequestRefused

_LONGEST = 4096  # characters of the query
_FORM = 'prior must be uniform or an object such as {"islam": 80}'


def parse_prior(text: str | None) -> Prior | None:
    """Return the prior of a query: ``uniform``, or a JSON object of shares by class; None without one.

    Raises:
        RequestRefused: It is neither.
    """
    if text is None or text == UNIFORM:
        return text
    if len(text) > _LONGEST:
        raise _refused(f"prior is longer than {_LONGEST:,} characters")
    try:
        shares = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(_FORM) from error
    if not isinstance(shares, Mapping):
        raise _refused(_FORM)
    return shares


def rule_for(rule: DecisionRule, prior: Prior, classes: tuple[str, ...]) -> DecisionRule:
    """Return a server's decision rule for the class frequencies of a request.

    Raises:
        RequestRefused: The prior is faulty, or the network has no validation logits.
    """
    try:
        moved = under_prior(rule, prior, classes, rule.views)
    except ConfigError as error:
        raise _refused(f"prior: {error.what}") from error
    fitted = None if rule.calibration is None else rule.calibration.threshold
    return moved if rule.threshold == fitted else moved.with_threshold(rule.threshold)


def _refused(message: str) -> RequestRefused:
    return RequestRefused(400, "bad_query", f"{message.rstrip('.')}.")
