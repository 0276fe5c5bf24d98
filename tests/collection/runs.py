"""Run the collector in this process against a museum on loopback."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from heritage.collection import ClassRules, CollectionRun, collection_options
from heritage.collection.http.settings import Endpoint, RetryPolicy
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import Source
from heritage.core.console import Console
from heritage.core.files import config_dir
from heritage.core.museums import museum_of
from heritage.demo.collection import PUBLISHED


def retry_policy(**changes: Any) -> RetryPolicy:
    """Return a policy with short waits."""
    usual: dict[str, Any] = {
        "attempts": 3, "backoff": 0.01, "backoff_cap": 0.05, "max_retry_after": 5.0, "connect_timeout": 2.0,
        "read_timeout": 2.0, "total_timeout": 2.0, "wall_pause": 0.05, "max_walls": 3,
        "max_record_bytes": 1 << 22, "max_image_bytes": 1 << 22,
    }  # fmt: skip
    return RetryPolicy(**(usual | changes))


def met(base: str, **changes: Any) -> MetSource:
    """Return The Met's adapter for a server on loopback."""
    departments = OmegaConf.to_container(OmegaConf.load(config_dir() / "source" / "met.yaml").departments)
    usual: dict[str, Any] = {
        "hosts": {
            part: Endpoint(url=base + path, rate=None, concurrency=4, published=PUBLISHED + path)
            for part, path in (("api", "/public/collection"), ("images", "/images"))
        },
        "allowed_hosts": [], "allow_private": True, "contact": None, "expected_yield": 0.9,
        "museum": museum_of("MET"),
        "departments": departments, "csv": None,
    }  # fmt: skip
    return MetSource(**(usual | changes))


def rules(name: str = "civilisations") -> ClassRules:
    """Return the class rules of a configuration file."""
    plain: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "collection" / f"{name}.yaml"))
    return ClassRules(name=plain["name"], classes=plain["classes"], rules=plain["rules"])


def session(source: Source, folder: Path, **changes: Any) -> CollectionRun:
    """Return a session whose messages `printed` returns."""
    given = {name: changes.pop(name) for name in ("rules", "retry_policy") if name in changes}
    values: dict[str, Any] = {
        "name": "test", "folder": folder, "classes": None, "limit": None, "views": 1, "size": "web",
        "min_side": 32, "placeholders": [], "seed": 0, "ids": None, "since": None, "retry": None,
        "refresh": False, "dry_run": False, "report": None, "cache": {"path": None, "max_age_days": 1.0},
    }  # fmt: skip
    return CollectionRun(
        source=source,
        rules=given.get("rules") or rules(),
        options=collection_options(values | changes),
        retry_policy=given.get("retry_policy") or retry_policy(),
        console=Console(file=io.StringIO(), width=200),
    )


def rows(folder: Path, question: str, *values: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query to the ledger."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        found = list(db.execute(question, values))
    db.close()
    return found


def printed(of: CollectionRun) -> str:
    """Return the messages of a session."""
    assert isinstance(of.console.file, io.StringIO)
    return of.console.file.getvalue()
