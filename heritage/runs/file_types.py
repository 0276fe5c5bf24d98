"""The types of the JSON files of run folders, as far as commands read them.

Entries may be missing, as in files of earlier versions; those that exist have the type that is declared here.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from heritage.core.json_files import Count, JsonModel, Number, Score
from heritage.runs.files import DATA_FILE, ENVIRONMENT_FILE, METRICS_FILE


class DataRecord(JsonModel):
    """``data.json``."""

    root: str = ""
    fingerprint: str = ""
    images: Count = 0
    counts: dict[str, dict[str, Count]] = Field({})


class GitRecord(JsonModel):
    """The git checkout in ``environment.json``."""

    commit: str = ""
    dirty: bool = False


class EnvironmentRecord(JsonModel):
    """``environment.json``."""

    heritage: str = ""
    git: GitRecord | None = None
    command: list[str] = Field([])
    started: str = ""


class RecipeRecord(JsonModel):
    """The choices of the evaluated run in ``metrics.json`` (`heritage.runs.description.RunDescription`)."""

    model: str
    optimizer: str
    balance: str
    seed: Count
    others: list[str] = Field([])


class FoldRecord(JsonModel):
    """The test fold in ``metrics.json`` (`heritage.runs.description.Fold`)."""

    number: Count
    folds: Count
    seed: Count


class MetricsRecord(JsonModel):
    """``metrics.json``."""

    accuracy: Score = None
    macro_avg: dict[str, Score] = Field({})
    weighted_avg: dict[str, Score] = Field({})
    images: Count = 0
    images_seen: Count | None = None
    classes: dict[str, dict[str, Any]] = Field({})
    recipe: RecipeRecord | None = None
    fold: FoldRecord | None = None


class FittedOnRecord(JsonModel):
    """The images of a calibration in ``calibration.json``."""

    split: str
    images: Count
    fingerprint: str
    groups: Count | None = None


class HeldOutRecord(JsonModel):
    """The errors on held-out groups in ``calibration.json``."""

    folds: Count
    ece_before: Number
    ece_after: Number


class PredictionSetsRecord(JsonModel):
    """Thresholds of prediction sets in ``calibration.json``."""

    groups: Count
    class_groups: list[Count]
    thresholds: list[Score]
    class_thresholds: list[list[Score]]


class CalibrationRecord(JsonModel):
    """``calibration.json``."""

    temperature: Number
    threshold: Number | None
    target_precision: Number | None = None
    wished_precision: Number | None = None  # the name in version 0.1
    fitted_on: FittedOnRecord
    ece_before: Number
    ece_after: Number
    held_out: HeldOutRecord | None = None
    method: str = "temperature"
    sets: PredictionSetsRecord | None = None


TYPES: dict[str, type[BaseModel]] = {
    DATA_FILE: DataRecord,
    ENVIRONMENT_FILE: EnvironmentRecord,
    METRICS_FILE: MetricsRecord,
}
"""The type of each file that `heritage.runs.record.read_json` reads."""
