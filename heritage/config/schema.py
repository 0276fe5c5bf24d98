"""Schemas of the top level of each command's configuration.

Hydra merges a schema with the YAML file of the same command: misspelt keys at the top level and values of
the wrong type are rejected while composing. The contents of a group are checked by
`heritage.config.validate` against the signature of its ``_target_``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class PathsConfig:
    """Folders that a run reads from and writes to."""

    outputs: str = MISSING  # all output is written below it
    data: str = MISSING  # data sets, and the cache of the demo set
    run: str = MISSING  # the folder of this run


@dataclass
class BalanceConfig:
    """The independent components of a remedy for class imbalance."""

    sampling: Any = MISSING  # which images an epoch contains, and how often
    weighting: Any = MISSING  # class weights of the loss
    loss: Any = MISSING  # the loss function
    schedule: Any = MISSING  # when the class weights apply


@dataclass
class TrainConfig:
    """`heritage.train`."""

    seed: int = MISSING
    paths: PathsConfig = MISSING
    data: Any = MISSING
    augment: Any = MISSING
    balance: BalanceConfig = MISSING
    model: Any = MISSING
    finetune: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING
    compile: bool = MISSING
    lr_find: bool = MISSING
    contact_sheet: bool = MISSING
    target_precision: float | None = MISSING
    objective: str | None = MISSING
    resume: Any = MISSING
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
    cache: Any = MISSING
    name: str = MISSING
    folder: str = MISSING
    classes: Any = MISSING
    limit: Any = MISSING
    views: int = MISSING
    size: str = MISSING
    min_side: int = MISSING
    placeholders: Any = MISSING
    seed: int = MISSING
    ids: Any = MISSING
    since: Any = MISSING
    retry: Any = MISSING
    refresh: bool = MISSING
    dry_run: bool = MISSING
    report: Any = MISSING


@dataclass
class CurateConfig:
    """`heritage.curate`."""

    paths: PathsConfig = MISSING
    raw: Any = MISSING
    name: str = MISSING
    out: str = MISSING
    classes: Any = MISSING
    overrides: Any = MISSING
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
    ckpt: str = MISSING
    trusted: list[str] = MISSING
    data: Any = MISSING
    split: str = MISSING
    logit_adjustment: float = MISSING
    device: str = MISSING
    report: Any = MISSING
    audits: Any = MISSING


@dataclass
class CompareConfig:
    """`heritage.compare`."""

    paths: PathsConfig = MISSING
    runs: Any = MISSING
    intervals: Any = MISSING


@dataclass
class ExplainConfig:
    """`heritage.explain`."""

    paths: PathsConfig = MISSING
    ckpt: str = MISSING
    trusted: list[str] = MISSING
    data: Any = MISSING
    split: str = MISSING
    device: str = MISSING
    explain: Any = MISSING


@dataclass
class PredictConfig:
    """`heritage.predict`."""

    paths: PathsConfig = MISSING
    ckpt: str = MISSING
    trusted: list[str] = MISSING
    input: Any = MISSING
    column: str = MISSING
    out: Any = MISSING
    folder: str = MISSING
    overwrite: bool = MISSING
    top_k: int = MISSING
    threshold: Any = MISSING
    embeddings: bool = MISSING
    tta: str = MISSING
    batch_size: int = MISSING
    num_workers: Any = MISSING
    device: str = MISSING


@dataclass
class ExportConfig:
    """`heritage.export`."""

    paths: PathsConfig = MISSING
    ckpt: str = MISSING
    trusted: list[str] = MISSING
    format: str = MISSING
    out: Any = MISSING
    folder: str = MISSING
    overwrite: bool = MISSING
    licence: Any = MISSING
    pictures: Any = MISSING


@dataclass
class ServeConfig:
    """`heritage.serve`."""

    paths: PathsConfig = MISSING
    ckpt: str = MISSING
    trusted: list[str] = MISSING
    host: str = MISSING
    port: int = MISSING
    names: Any = MISSING
    similar: Any = MISSING
    cache: str = MISSING
    threshold: Any = MISSING
    batch_size: int = MISSING
    device: str = MISSING
    limits: Any = MISSING


@dataclass
class WeightsConfig:
    """`heritage.weights`."""

    paths: PathsConfig = MISSING
    model: Any = MISSING
    optimizer: Any = None  # chosen by model presets; not used


SCHEMAS: dict[str, type] = {
    "collect": CollectConfig,
    "curate": CurateConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
    "export": ExportConfig,
    "serve": ServeConfig,
    "weights": WeightsConfig,
}


def register_schemas() -> None:
    """Store each command's schema as ``<command>_schema``, which its YAML file includes."""
    store = ConfigStore.instance()
    for verb, schema in SCHEMAS.items():
        store.store(name=f"{verb}_schema", node=schema, provider="heritage")
