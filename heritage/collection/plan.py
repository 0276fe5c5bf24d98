"""Estimate the requests, duration and disk space of a run."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from heritage.collection import ledger_counts
from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageState
from heritage.collection.options import CollectionOptions
from heritage.collection.record import Size
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import Listing, Source
from heritage.core.console import Console

TYPICAL_BYTES: dict[Size, int] = {"web": 90_000, "original": 2_000_000}
"""Size of a photograph in bytes, used until the collection has photographs."""

_MIN_MEASURED = 50  # objects read before the yield of a listing is measured


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """The estimate for one class.

    Attributes:
        name: The class.
        stored: Stored photographs.
        to_come: Photographs still to be fetched, as far as the listings have them.
        listed: Unread objects that may be of this class.
        records: Records to be read.
        measured: Whether the yield was measured in this collection instead of taken from the configuration.
    """

    name: str
    stored: int
    to_come: int
    listed: int
    records: int
    measured: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The estimate for a run.

    Attributes:
        classes: The estimate for each class.
        records: Requests for records.
        photographs: Photographs to be fetched.
        hours: Duration at the configured rate limits; None without limits.
        bytes: Bytes still to be written.
    """

    classes: tuple[ClassPlan, ...]
    records: int
    photographs: int
    hours: float | None
    bytes: int

    def show(self, console: Console, source: Source, options: CollectionOptions, rules: ClassRules) -> None:
        """Print the plan."""
        limit = "all photographs" if options.limit is None else f"{options.limit:,} photographs per class"
        title = f"Plan: {source.code}, collection {rules.name}, {limit}, into {options.folder}"
        table = Table(title=title, title_justify="left")
        for name in ("class", "stored", "to come", "objects listed", "records to read"):
            table.add_column(name, justify="left" if name == "class" else "right")
        for row in self.classes:
            guess = "" if row.measured or not row.records else "about "
            cells = (row.stored, row.to_come, row.listed, row.records)
            table.add_row(row.name, *(f"{n:,}" for n in cells[:3]), f"{guess}{cells[3]:,}")
        console.print(table)
        time = (
            "no rate limit" if self.hours is None else f"about {self.hours:.1f} hours at the configured rates"
        )
        console.print(
            f"Requests: about {self.records:,} for records and {self.photographs:,} for photographs; {time}; "
            f"disk: about {self.bytes / 1e9:.2f} GB",
            highlight=False,
        )


def make_plan(
    source: Source, ledger: Ledger, rules: ClassRules, listings: list[Listing], options: CollectionOptions
) -> Plan:
    """Estimate a run from the listed objects, the stored photographs and the yield so far."""
    chosen = options.selected_classes(rules)
    state = _LedgerState(source, ledger, rules)
    classes = tuple(_class_plan(name, state, listings, options) for name in chosen)
    # A listing shared by several classes is read once for all of them; records it included cost no request.
    records = ledger_counts.changed_objects(ledger, source.code)
    for group in {frozenset(listing.key for listing in listings if n in listing.classes) for n in chosen}:
        sharing = [
            p for p in classes if frozenset(li.key for li in listings if p.name in li.classes) == group
        ]
        most = max((p.records for p in sharing), default=0)
        records += min(most, sum(state.to_request.get(key, 0) for key in group))
    photographs = sum(p.to_come for p in classes)
    size = state.mean_bytes or TYPICAL_BYTES[options.size]
    return Plan(classes, records, photographs, _hours(source, records, photographs), photographs * size)


class _LedgerState:
    def __init__(self, source: Source, ledger: Ledger, rules: ClassRules) -> None:
        self.listed = ledger_counts.unread_objects(ledger, source.code)
        self.to_request = ledger_counts.records_to_request(ledger, source.code)
        self.read = ledger_counts.objects_by_listing(ledger, source.code)
        self.stored = ledger_counts.images_by_class(ledger, source.code, ImageState.STORED)
        self.queued = ledger_counts.images_by_class(ledger, source.code, ImageState.QUEUED)
        self.reserve = ledger_counts.reserve_objects(ledger, source.code)
        self.mean_bytes = ledger_counts.mean_bytes(ledger, source.code)
        self.expected = source.expected_yield
        # They were measured at the museum whose rules they are, and not at another with the same rules.
        self.shares = {
            name: rule.share
            for name in rules.classes
            for rule in rules.rules_for(source.rules_museum, (name,))
            if rule.share is not None and source.rules_museum == source.code
        }

    def expected_yield(self, name: str, listings: list[Listing]) -> tuple[float, bool]:
        """Return the fraction of objects with a photograph of the class, and whether it was measured."""
        keys = {listing.key for listing in listings}
        read = sum(n for (key, _), n in self.read.items() if key in keys)
        if read >= _MIN_MEASURED:
            labelled = sum(self.read.get((key, name), 0) for key in keys)
            return max(labelled, 1) / read, True
        if any(listing.objects == "labelled" for listing in listings):
            return 1.0, False
        if name in self.shares and not any(listing.objects == "chosen" for listing in listings):
            return self.shares[name], False
        # How the classes divide a listing of several classes is unknown; an object belongs to one of them.
        return self.expected / max((len(listing.classes) for listing in listings), default=1), False


def _class_plan(
    name: str, state: _LedgerState, listings: list[Listing], options: CollectionOptions
) -> ClassPlan:
    listings = [listing for listing in listings if name in listing.classes]
    listed = sum(state.listed.get(listing.key, 0) for listing in listings)
    stored, queued = state.stored.get(name, 0), state.queued.get(name, 0)
    share, measured = state.expected_yield(name, listings)
    available = state.reserve.get(name, 0) + int(listed * share)
    missing = available if options.limit is None else min(available, max(0, options.limit - stored - queued))
    records = min(listed, round(max(0, missing - state.reserve.get(name, 0)) / share))
    if options.limit is None or stored + queued + available < options.limit:
        records = listed  # the class cannot be filled: all objects will be read
    return ClassPlan(name, stored, queued + missing, listed, records, measured)


def _hours(source: Source, records: int, photographs: int) -> float | None:
    """Return the duration: hosts are used concurrently, each at its own rate limit."""
    work: dict[str, float] = {}
    for name, endpoint in source.hosts.items():
        if endpoint.rate is None:
            continue
        number = photographs if name == "images" else records + (photographs if len(source.hosts) == 1 else 0)
        work[endpoint.origin] = work.get(endpoint.origin, 0.0) + number / endpoint.rate
    return max(work.values()) / 3600 if work else None
