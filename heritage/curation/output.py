"""What a build comes to, and how it is written so that the folder is a data set only when it is whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from heritage.core.files import write_text
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.overrides import Override
from heritage.core.version import __version__
from heritage.curation import dataset_folder as dataset
from heritage.curation.dataset_card import attribution, card
from heritage.curation.duplicates import DuplicateClusters
from heritage.curation.leak_check import LeakCheck
from heritage.curation.options import CurationOptions
from heritage.curation.raw_sources import RawImages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CurationResult:
    """What came out.

    Attributes:
        table: All photographs of the source, kept and dropped.
        kept: The manifest of those that are kept.
        audit: What crosses the borders between splits.
        photographs: Which rows of the table show the same photograph.
        reasons: How many photographs were dropped, by reason.
        overrides: The curator's decisions, by raw file.
        stale: Those that no longer apply, with the reason.
        remarks: What a curator should look at, a sentence each.
    """

    table: pa.Table
    kept: Manifest
    audit: LeakCheck
    photographs: DuplicateClusters
    reasons: dict[str, int]
    overrides: dict[str, Override]
    stale: dict[str, str]
    remarks: tuple[str, ...]


def publish(curated: CurationResult, plan: CurationOptions, raw: RawImages, decisions: Path | None) -> None:
    """Write credits, card, manifest and, last, the description; remove images that are not kept.

    Args:
        curated: What came out.
        plan: How it was made.
        raw: What it was made from.
        decisions: The curator's file, which is copied beside the data set.
    """
    kept = curated.kept
    dataset.remove_unlisted(plan.out, kept)
    write_text(plan.out / "ATTRIBUTION.md", attribution(kept))
    if decisions is not None:
        dataset.write_decisions(plan.out, decisions.read_text(encoding="utf-8"))
    about = {
        "name": plan.configuration.get("name"),
        "image_size": plan.resize.size,
        "splits": {name: kept.column("split").count(name) for name in SPLITS},
        "groups": len(set(kept.column("group_id"))),
        "photographs": curated.table.num_rows,
        "dropped": curated.reasons,
        "audit": curated.audit.record(),
        "remarks": list(curated.remarks),
        "raw": str(raw.root),
        "heritage": __version__,
        "configuration": dict(plan.configuration),
    }
    write_text(plan.out / "README.md", card(kept, about))
    dataset.publish(plan.out, curated.table, kept, about)


def compare(made: Mapping[str, Any], curated: CurationResult, plan: CurationOptions) -> None:
    """Say whether a data set that was made again is the same, and which settings differ."""
    if made.get("fingerprint") == curated.kept.fingerprint:
        log.info("it is the data set that it was made again from: the fingerprints are the same")
        return
    theirs, ours = made.get("configuration", {}), plan.configuration
    differ = [
        f"{part}.{name}={value} instead of {(theirs.get(part) or {}).get(name)}"
        for part in ("cleaning", "duplicates", "groups", "split", "resize")
        for name, value in (ours.get(part) or {}).items()
        if value != (theirs.get(part) or {}).get(name)
    ]
    log.warning("it is another data set than the one it was made again from (%s)",
                ", ".join(differ) or "photographs or decisions have changed")  # fmt: skip
