"""Recognise which ancient civilisation an artefact comes from, from its photograph.

Everything below is loaded at its first use, so that ``import heritage`` takes milliseconds::

    import heritage

    result = heritage.run("train", model="resnet18")              # what `heritage train` does
    predictor = heritage.load(result.folder)                      # a trained network
    predictor.predict("photograph.jpg").label
    run = heritage.build(heritage.compose("train", ["model=vit"]))  # Lightning's parts
"""

from __future__ import annotations

from heritage.core import early_signals

early_signals.install()  # before anything else is imported, if this process is a command

from importlib import import_module  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from heritage.core.version import __version__  # noqa: E402

if TYPE_CHECKING:
    from heritage.api.composition import compose
    from heritage.api.options import list_models, list_options
    from heritage.api.run import run
    from heritage.data.module import ArtefactDataModule
    from heritage.errors import HeritageError
    from heritage.features.opened import open_features
    from heritage.prediction.predictor import Predictor, load
    from heritage.prediction.results import Explanation, Prediction, Predictions
    from heritage.runs.run_result import RunResult
    from heritage.training.build import build
    from heritage.training.classifier import Classifier
    from heritage.training.run import TrainingRun

_HOMES = {
    "ArtefactDataModule": "heritage.data.module",
    "Classifier": "heritage.training.classifier",
    "Explanation": "heritage.prediction.results",
    "HeritageError": "heritage.errors",
    "Prediction": "heritage.prediction.results",
    "Predictions": "heritage.prediction.results",
    "Predictor": "heritage.prediction.predictor",
    "RunResult": "heritage.runs.run_result",
    "TrainingRun": "heritage.training.run",
    "build": "heritage.training.build",
    "compose": "heritage.api.composition",
    "list_models": "heritage.api.options",
    "list_options": "heritage.api.options",
    "load": "heritage.prediction.predictor",
    "open_features": "heritage.features.opened",
    "run": "heritage.api.run",
}

__all__ = [
    "ArtefactDataModule",
    "Classifier",
    "Explanation",
    "HeritageError",
    "Prediction",
    "Predictions",
    "Predictor",
    "RunResult",
    "TrainingRun",
    "__version__",
    "build",
    "compose",
    "list_models",
    "list_options",
    "load",
    "open_features",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'heritage' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
