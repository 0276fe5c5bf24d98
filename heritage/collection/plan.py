"""The plan: what a run will ask of the museum, how long it will take and what it will fill."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from heritage.collection import ledger_counts as census
from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageState
from heritage.collection.options import CollectionOptions
from heritage.collection.record import Size
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import Listing, Source

TYPICAL_BYTES: dict[Size, int] = {"web": 90_000, "original": 2_000_000}
"""What a photograph fills, until the collection itself tells."""

_ENOUGH_TO_MEASURE = 50


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What one class needs.

    Attributes:
        stored: Photographs that are there.
        to_come: Photographs that are still to be fetched, as far as the listings can give them.
        listed: Objects not looked at yet that may be of this class.
        records: Records that will have to be read for it.
        measured: The yield was measured in this collection, not taken from the configuration.
    """

    name: str
    stored: int
    to_come: int
    listed: int
    records: int
    measured: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it starts.

    Attributes:
        records: Requests for records.
        photographs: Photographs to be fetched.
        hours: At the polite rates; None where nothing limits them.
        bytes: Still to be written.
    """

    classes: tuple[ClassPlan, ...]
    records: int
    photographs: int
    hours: float | None
    bytes: int

    def show(self, console: Console, source: Source, order: CollectionOptions, rules: ClassRules) -> None:
        """Print the plan."""
        limit = "all photographs" if order.limit is None else f"{order.limit:,} photographs a class"
        title = f"Plan: {source.code}, collection {rules.name}, {limit}, into {order.folder}"
        table = Table(title=title, title_justify="left")
        for name in ("class", "stored", "to come", "objects listed", "records to read"):
            table.add_column(name, justify="left" if name == "class" else "right")
        for row in self.classes:
            guess = "" if row.measured or not row.records else "about "
            cells = (row.stored, row.to_come, row.listed, row.records)
            table.add_row(row.name, *(f"{n:,}" for n in cells[:3]), f"{guess}{cells[3]:,}")
        console.print(table)
        time = (
            "no rate limits it" if self.hours is None else f"about {self.hours:.1f} hours at the polite rates"
        )
        console.print(
            f"Requests: about {self.records:,} for records and {self.photographs:,} for photographs; {time}; "
            f"disk: about {self.bytes / 1e9:.2f} GB",
            highlight=False,
        )


def make_plan(
    source: Source, ledger: Ledger, rules: ClassRules, listings: list[Listing], order: CollectionOptions
) -> Plan:
    """Estimate a run from what is listed, what is stored and what the yield was so far."""
    chosen = order.chosen(rules)
    state = _State(source, ledger, rules)
    classes = tuple(_class_plan(name, state, listings, order) for name in chosen)
    # A listing that several classes share is read once for all of them, and what it brought is there.
    records = census.objects_to_read_again(ledger, source.code)
    for group in {frozenset(listing.key for listing in listings if n in listing.classes) for n in chosen}:
        sharing = [
            p for p in classes if frozenset(li.key for li in listings if p.name in li.classes) == group
        ]
        most = max((p.records for p in sharing), default=0)
        records += min(most, sum(state.unasked.get(key, 0) for key in group))
    photographs = sum(p.to_come for p in classes)
    size = state.mean_bytes or TYPICAL_BYTES[order.size]
    return Plan(classes, records, photographs, _hours(source, records, photographs), photographs * size)


class _State:
    def __init__(self, source: Source, ledger: Ledger, rules: ClassRules) -> None:
        self.listed = census.objects_to_read(ledger, source.code)
        self.unasked = census.records_to_ask(ledger, source.code)
        self.read = census.objects_read(ledger, source.code)
        self.stored = census.images_by_class(ledger, source.code, ImageState.STORED)
        self.wanted = census.images_by_class(ledger, source.code, ImageState.WANTED)
        self.spare = census.spare_objects(ledger, source.code)
        self.mean_bytes = census.mean_bytes(ledger, source.code)
        self.expected = source.expected_yield
        self.shares = {
            name: rule.share
            for name in rules.classes
            for rule in rules.of(source.rules_museum, (name,))
            if rule.share is not None
        }

    def expected_yield(self, name: str, listings: list[Listing]) -> tuple[float, bool]:
        """Return which share of these objects gives the class a photograph, and whether it is measured."""
        keys = {listing.key for listing in listings}
        looked_at = sum(n for (key, _), n in self.read.items() if key in keys)
        if looked_at >= _ENOUGH_TO_MEASURE:
            found = sum(n for (key, class_name), n in self.read.items() if key in keys and class_name == name)
            return max(found, 1) / looked_at, True
        if any(listing.objects == "labelled" for listing in listings):
            return 1.0, False
        if name in self.shares and not any(listing.objects == "chosen" for listing in listings):
            return self.shares[name], False
        # Nobody knows how the classes share a listing that names them all; an object is of one of them.
        return self.expected / max((len(listing.classes) for listing in listings), default=1), False


def _class_plan(name: str, state: _State, listings: list[Listing], order: CollectionOptions) -> ClassPlan:
    naming = [listing for listing in listings if name in listing.classes]
    listed = sum(state.listed.get(listing.key, 0) for listing in naming)
    stored, wanted = state.stored.get(name, 0), state.wanted.get(name, 0)
    share, measured = state.expected_yield(name, naming)
    findable = state.spare.get(name, 0) + int(listed * share)
    missing = findable if order.limit is None else min(findable, max(0, order.limit - stored - wanted))
    records = min(listed, round(max(0, missing - state.spare.get(name, 0)) / share))
    if order.limit is None or stored + wanted + findable < order.limit:
        records = listed  # the class is not filled: everything will be looked at
    return ClassPlan(name, stored, wanted + missing, listed, records, measured)


def _hours(source: Source, records: int, photographs: int) -> float | None:
    """Records and photographs come side by side from different hosts, one after the other from the same."""
    work: dict[str, float] = {}
    for name, endpoint in source.hosts.items():
        if endpoint.rate is None:
            continue
        number = photographs if name == "images" else records + (photographs if len(source.hosts) == 1 else 0)
        work[endpoint.origin] = work.get(endpoint.origin, 0.0) + number / endpoint.rate
    return max(work.values()) / 3600 if work else None
