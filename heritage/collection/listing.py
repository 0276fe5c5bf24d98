"""Filling the ledger with the ids that a museum, a dump or a file of ids names."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
from pathlib import Path

from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError
from heritage.collection.ledger import Ledger
from heritage.collection.options import CollectionOptions
from heritage.collection.progress import ListingView
from heritage.collection.record import RecordError
from heritage.collection.rules import ClassRules
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import Listed, Listing, Source
from heritage.errors import CollectionError, ConfigError

_ROWS = 500
"""Rows of a dump that are labelled at a stretch."""

IDS = "ids"
_DUMP = "csv"
_MUSEUM = "museum"


async def list_all(
    source: Source,
    client: Client,
    ledger: Ledger,
    rules: ClassRules,
    order: CollectionOptions,
    view: ListingView,
) -> list[Listing]:
    """List what is not listed yet, and return the listings to collect from.

    A listing is asked for once a folder; ``since`` asks again for what changed. An object stands in one
    listing: where a folder's objects are now chosen in another way (the museum's lists, a dump, a file of
    ids), it is listed anew and takes the waiting objects over. The view is told how far it is.

    Raises:
        CollectionError: The museum cannot be listed.
        ConfigError: The rules do not fit the museum, or a file cannot be read.
        StoppingError: The collector is stopping.
    """
    classes = order.chosen(rules)
    _require_dates(source, order)
    dump = Path(source.csv) if isinstance(source, MetSource) and source.csv is not None else None
    if order.ids is not None:
        ids = _ids_of(source, order.ids)
        ledger.put(f"chosen:{source.code}", IDS)
        _list_anew(ledger, source)
        ledger.list_objects(source.code, IDS, ids, seed=order.seed)
        return [Listing(IDS, frozenset(classes), "chosen")]
    listings = source.listings(rules, classes)
    if not listings:
        raise ConfigError(
            f"no rule gives {' or '.join(classes)} from {source.rules_museum}",
            where=f"collection={rules.name}",
            remedy="choose another source, collection or classes",
        )
    _choose(ledger, source, _MUSEUM if dump is None else _DUMP)
    if isinstance(source, MetSource) and dump is not None:
        view.begin(dump.name, 1, 1)
        await _list_dump(source, dump, client, ledger, rules, classes, order.seed, view)
        return listings
    for number, listing in enumerate(listings, 1):
        view.begin(listing.key, number, len(listings))
        await _list_one(source, client, ledger, listing, order, view)
    return listings


def _require_dates(source: Source, order: CollectionOptions) -> None:
    """Refuse ``since`` where nobody says what changed: all would be asked for again."""
    if order.since is None:
        return
    if not source.tells_changes:
        raise ConfigError(
            f"{source.rules_museum} does not say what changed", where=f"since={order.since}",
            remedy="leave it out; retry=failed and refresh=true work here too",
        )  # fmt: skip
    if order.ids is not None or (isinstance(source, MetSource) and source.csv is not None):
        raise ConfigError(
            "ids of a file are not asked for by date", where=f"since={order.since}",
            remedy="leave out ids and source.csv: the museum's own lists say what changed",
        )  # fmt: skip


def _choose(ledger: Ledger, source: Source, way: str) -> None:
    """Remember how objects are chosen; another way than the last time lists them anew."""
    key = f"chosen:{source.code}"
    if (ledger.get(key) or _MUSEUM) != way:
        _list_anew(ledger, source)
    ledger.put(key, way)


def _list_anew(ledger: Ledger, source: Source) -> None:
    # In this order: killed in between, everything is listed again.
    ledger.forget(f"listed:{source.code}:")
    ledger.unlist(source.code)


async def _list_one(
    source: Source,
    client: Client,
    ledger: Ledger,
    listing: Listing,
    order: CollectionOptions,
    view: ListingView,
) -> None:
    listed_key, asked_key = (f"{what}:{source.code}:{listing.key}" for what in ("listed", "asked"))
    listed = ledger.get(listed_key)
    last = ledger.get(asked_key) or listed
    since = last if order.since == "last" else order.since.isoformat() if order.since else None
    # A list that lost its objects to a dump is asked for whole, and then for what changed since it was asked.
    whole = [None] if listed is None and (last is not None or since is None) else []
    passes = whole + ([since] if since is not None else [])
    if not passes:
        return
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        for changed in passes:
            async for page in source.enumerate(client, listing, changed):
                again = changed is not None
                if again:
                    client.forget(_record_urls(source, page))
                ledger.list_objects(source.code, listing.key, page, seed=order.seed, again=again)
                view.add(len(page))
    except FetchError as error:
        raise CollectionError(
            f"cannot be listed: {error}", where=f"{source.code} {listing.key}", remedy="try again later"
        ) from error
    if last is None or since is not None:
        ledger.put(asked_key, today)
    ledger.put(listed_key, today)


async def _list_dump(
    source: MetSource,
    path: Path,
    client: Client,
    ledger: Ledger,
    rules: ClassRules,
    classes: tuple[str, ...],
    seed: int,
    view: ListingView,
) -> None:
    changed = path.stat().st_mtime if path.exists() else 0
    key = f"listed:{source.code}:{path.resolve()}:{changed}:{rules.fingerprint}:{','.join(classes)}"
    if ledger.get(key) is not None:
        return
    # Other rules, classes or rows put objects into other classes' parts.
    _list_anew(ledger, source)
    rows = source.dump(path)
    while batch := list(itertools.islice(rows, _ROWS)):
        found: dict[str, list[Listed]] = {}
        for object_id, record in batch:
            if not isinstance(record, RecordError):
                name = rules.label(source.rules_museum, record).class_name
                if name in classes:
                    found.setdefault(name, []).append(Listed(object_id))
        for name, items in found.items():
            ledger.list_objects(source.code, f"csv:{name}", items, seed=seed)
        view.add(len(batch))
        await asyncio.sleep(0)  # the view and Ctrl-C have their turn
        client.heed_stop()
    ledger.put(key, "done")


def _record_urls(source: Source, items: list[Listed]) -> list[str]:
    urls = []
    for item in items:
        with contextlib.suppress(RecordError):  # it is refused when its turn comes
            urls.append(source.record_url(item.object_id))
    return urls


def _ids_of(source: Source, path: Path) -> list[Listed]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the ids cannot be read ({error})", where=path, remedy="give a text file with one id a line"
        ) from error
    for line in lines:
        try:
            source.record_url(line)
        except RecordError as error:
            raise ConfigError(str(error), where=path, remedy="one id a line") from error
    return [Listed(line) for line in lines]
