"""Schemas of the top level of each command's configuration.

Hydra merges a schema with the YAML file of the same command: misspelt keys at the top level and values of
the wrong type are rejected while composing. The contents of a group are checked by
`heritage.config.validate` against the signature of its ``_target_``.

OmegaConf ignores annotations beyond its own types: ``Annotated[Any, X]`` is Any for it, and X for
`heritage.core.option_types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from heritage.core.option_types import Choice, FilePath

# The parts of `heritage.config.network_parts`, which imports pydantic: none but the adapters of ``finetune``.
_NETWORK_PARTS: Mapping[str, Any] = {"head": None, "adapters": "${oc.select:finetune.adapters,null}"}


@dataclass
class PathsConfig:
    """Folders that a run reads from and writes to."""

    outputs: FilePath = MISSING  # all output is written below it
    data: FilePath = MISSING  # data sets, and the cache of the demo set
    run: FilePath = MISSING  # the folder of this run


@dataclass
class BalanceConfig:
    """The independent components of a remedy for class imbalance."""

    sampling: Any = MISSING  # which images an epoch contains, and how often
    weighting: Any = MISSING  # class weights of the loss
    loss: Any = MISSING  # the loss function
    schedule: Any = MISSING  # when the class weights apply


@dataclass
class GivenData:
    """What replaces options of a trained network's data set; None replaces nothing."""

    root: FilePath | None
    batch_size: int | None
    num_workers: int | None


@dataclass
class PublishedData:
    """The data set that `heritage.publish` publishes."""

    root: FilePath | None


@dataclass
class CacheConfig:
    """A cache of records."""

    path: FilePath | None
    max_age_days: float


@dataclass
class TrainConfig:
    """`heritage.train`."""

    seed: int = MISSING
    paths: PathsConfig = MISSING
    data: Any = MISSING
    augment: Any = MISSING
    balance: BalanceConfig = MISSING
    model: Any = field(default_factory=lambda: dict(_NETWORK_PARTS))  # a preset may set them
    finetune: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING
    compile: bool = MISSING
    lr_find: bool = MISSING
    contact_sheet: bool = MISSING
    figure_width: Choice = MISSING
    target_precision: float | None = MISSING
    objective: str | None = MISSING
    resume: Annotated[Any, bool | FilePath] = MISSING
    cluster: Any = MISSING
    plan: bool = MISSING
    retry_failed: bool = MISSING


@dataclass
class CollectConfig:
    """`heritage.collect`."""

    paths: PathsConfig = MISSING
    source: Any = MISSING
    collection: Any = MISSING
    client: Any = MISSING
    cache: Annotated[Any, CacheConfig] = MISSING
    name: str = MISSING
    folder: FilePath = MISSING
    classes: Annotated[Any, list[str] | None] = MISSING
    limit: Any = MISSING
    views: int = MISSING
    size: Choice = MISSING
    min_side: int = MISSING
    placeholders: Annotated[Any, list[str]] = MISSING
    seed: int = MISSING
    ids: Annotated[Any, FilePath | None] = MISSING
    since: Any = MISSING
    retry: Any = MISSING
    refresh: bool = MISSING
    dry_run: bool = MISSING
    report: Annotated[Any, FilePath | None] = MISSING


@dataclass
class CurateConfig:
    """`heritage.curate`."""

    paths: PathsConfig = MISSING
    raw: Any = MISSING
    name: str = MISSING
    out: FilePath = MISSING
    classes: Annotated[Any, list[str] | None] = MISSING
    overrides: Annotated[Any, FilePath | None] = MISSING
    verdicts: Annotated[Any, FilePath | None] = MISSING
    cleaning: Any = MISSING
    duplicates: Any = MISSING
    groups: Any = MISSING
    split: Any = MISSING
    resize: Any = MISSING
    pack: bool = MISSING
    workers: Any = MISSING


@dataclass
class EvaluateConfig:
    """`heritage.evaluate`."""

    paths: PathsConfig = MISSING
    ckpt: Annotated[Any, FilePath | list[FilePath]] = MISSING
    trusted: list[str] = MISSING
    data: Annotated[Any, GivenData] = MISSING
    split: Choice = MISSING
    logit_adjustment: float = MISSING
    prior: Any = MISSING
    tta: Choice = MISSING
    mistakes: Choice = MISSING
    figure_width: Choice = MISSING
    device: Choice = MISSING
    report: Any = MISSING
    audits: Any = MISSING


@dataclass
class EmbedConfig:
    """`heritage.embed`."""

    paths: PathsConfig = MISSING
    ckpt: Annotated[Any, FilePath | None] = MISSING
    trusted: list[str] = MISSING
    model: Any = None
    optimizer: Any = None  # chosen by model presets; not used
    data: Annotated[Any, GivenData] = MISSING
    tta: Choice = MISSING
    dtype: Choice = MISSING
    precision: Annotated[Any, str | None] = MISSING
    shard: Annotated[Any, str | None] = MISSING
    out: Annotated[Any, FilePath | None] = MISSING
    device: Choice = MISSING


@dataclass
class CompareConfig:
    """`heritage.compare`."""

    paths: PathsConfig = MISSING
    runs: Annotated[Any, FilePath | list[FilePath]] = MISSING
    figure_width: Choice = MISSING
    intervals: Any = MISSING


@dataclass
class ExplainConfig:
    """`heritage.explain`."""

    paths: PathsConfig = MISSING
    ckpt: FilePath = MISSING
    trusted: list[str] = MISSING
    data: Annotated[Any, GivenData] = MISSING
    split: Choice = MISSING
    figure_width: Choice = MISSING
    device: Choice = MISSING
    explain: Any = MISSING


@dataclass
class PredictConfig:
    """`heritage.predict`."""

    paths: PathsConfig = MISSING
    ckpt: Annotated[Any, FilePath | list[FilePath]] = MISSING
    trusted: list[str] = MISSING
    input: Annotated[Any, FilePath | list[FilePath]] = MISSING
    column: str = MISSING
    out: Annotated[Any, FilePath | None] = MISSING
    folder: FilePath = MISSING
    overwrite: bool = MISSING
    top_k: int = MISSING
    threshold: Any = MISSING
    outliers: bool = MISSING
    coverage: Any = MISSING
    coverage_by_class: bool = MISSING
    prior: Any = MISSING
    embeddings: bool = MISSING
    tta: Choice = MISSING
    batch_size: int = MISSING
    num_workers: Any = MISSING
    device: Choice = MISSING


@dataclass
class ExportConfig:
    """`heritage.export`."""

    paths: PathsConfig = MISSING
    ckpt: Annotated[Any, FilePath | list[FilePath]] = MISSING
    trusted: list[str] = MISSING
    format: Choice = MISSING
    average: Annotated[Any, str | None] = MISSING
    out: Annotated[Any, FilePath | None] = MISSING
    folder: FilePath = MISSING
    overwrite: bool = MISSING
    licence: Annotated[Any, str | None] = MISSING
    pictures: Annotated[Any, FilePath | list[FilePath] | None] = MISSING


@dataclass
class PublishConfig:
    """`heritage.publish`."""

    paths: PathsConfig = MISSING
    ckpt: Annotated[Any, FilePath | None] = MISSING
    data: Annotated[Any, PublishedData] = MISSING
    repo: Annotated[Any, str | None] = MISSING
    archive: Annotated[Any, FilePath | None] = MISSING
    private: bool = MISSING
    revision: Annotated[Any, str | None] = MISSING
    overwrite: bool = MISSING
    plan: bool = MISSING
    licence: Annotated[Any, str | None] = MISSING
    refused: Choice = MISSING
    title: Annotated[Any, str | None] = MISSING
    creators: list[str] = MISSING
    date: Annotated[Any, str | None] = MISSING
    dataset: Annotated[Any, str | None] = MISSING
    endpoint: Annotated[Any, str | None] = MISSING
    trusted: list[str] = MISSING


@dataclass
class ServeConfig:
    """`heritage.serve`."""

    paths: PathsConfig = MISSING
    ckpt: Annotated[Any, FilePath | list[FilePath]] = MISSING
    trusted: list[str] = MISSING
    host: str = MISSING
    port: int = MISSING
    open: bool = MISSING
    names: Annotated[Any, list[str] | None] = MISSING
    similar: Any = MISSING
    cache: FilePath = MISSING
    verdicts: Annotated[Any, FilePath | None] = MISSING
    tta: Choice = MISSING
    outliers: bool = MISSING
    coverage: Any = MISSING
    prior: Any = MISSING
    threshold: Any = MISSING
    batch_size: int = MISSING
    device: Choice = MISSING
    limits: Any = MISSING


@dataclass
class NewConfig:
    """`heritage.new`."""

    paths: PathsConfig = MISSING
    folder: FilePath = MISSING


@dataclass
class WeightsConfig:
    """`heritage.weights`."""

    paths: PathsConfig = MISSING
    model: Any = MISSING
    optimizer: Any = None  # chosen by model presets; not used


SCHEMAS: dict[str, type] = {
    "new": NewConfig,
    "collect": CollectConfig,
    "curate": CurateConfig,
    "train": TrainConfig,
    "embed": EmbedConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
    "export": ExportConfig,
    "publish": PublishConfig,
    "serve": ServeConfig,
    "weights": WeightsConfig,
}

HYDRA_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "hydra.run.dir": FilePath,
        "hydra.sweep.dir": FilePath,
        "hydra.sweep.subdir": str,
        "hydra.job.name": str,
        "hydra.searchpath": list[str],
    }
)
"""Types of those options of Hydra that are paths or names."""


def are_schemas_registered() -> bool:
    """Return whether Hydra has the schemas."""
    return f"{next(iter(SCHEMAS))}_schema.yaml" in ConfigStore.instance().repo


def register_schemas() -> None:
    """Store each command's schema as ``<command>_schema``, which its YAML file includes."""
    store = ConfigStore.instance()
    for verb, schema in SCHEMAS.items():
        store.store(name=f"{verb}_schema", node=schema, provider="heritage")
