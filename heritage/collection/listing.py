"""Add object ids to the ledger, from a museum's lists, a dump or a file of ids."""

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
from heritage.collection.progress import ListingProgress
from heritage.collection.record import RecordError
from heritage.collection.rules import ClassRules
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import ListedObject, Listing, Source
from heritage.core.text_encoding import decode_text
from heritage.errors import CollectionError, ConfigError, ManifestError

_ROWS = 500
"""Rows of a dump labelled between two checks for Ctrl-C."""

IDS = "ids"
_DUMP = "csv"
_MUSEUM = "museum"


async def list_all_objects(
    source: Source,
    client: Client,
    ledger: Ledger,
    rules: ClassRules,
    options: CollectionOptions,
    progress: ListingProgress,
) -> list[Listing]:
    """Fetch the lists that the ledger does not have yet, and return the listings to collect from.

    A list is fetched once per collection; with ``since``, changed objects are fetched again. An object
    belongs to one listing: if objects are now selected in another way (museum, dump, file of ids), they are
    listed again and the new listing takes over the unread objects.

    Args:
        source: The museum.
        client: The HTTP client.
        ledger: The state of the collection.
        rules: The class rules.
        options: What to collect.
        progress: Receives the number of listed objects.

    Raises:
        CollectionError: The museum cannot be listed.
        ConfigError: The rules do not fit the museum, or a file cannot be read.
        StoppingError: The collector is stopping.
    """
    classes = options.selected_classes(rules)
    _check_since(source, options)
    dump = Path(source.csv) if isinstance(source, MetSource) and source.csv is not None else None
    if options.ids is not None:
        ids = _read_ids(source, options.ids)
        ledger.put(f"chosen:{source.code}", IDS)
        _reset_listing(ledger, source)
        ledger.list_objects(source.code, IDS, ids, seed=options.seed)
        return [Listing(IDS, frozenset(classes), "chosen")]
    listings = source.listings(rules, classes)
    if not listings:
        raise ConfigError(
            f"no rule assigns {' or '.join(classes)} to objects of {source.rules_museum}",
            where=f"collection={rules.name}",
            remedy="choose another source, collection or classes",
        )
    _set_listing_mode(ledger, source, _MUSEUM if dump is None else _DUMP)
    if isinstance(source, MetSource) and dump is not None:
        progress.begin(dump.name, 1, 1)
        await _list_dump(source, dump, client, ledger, rules, classes, options.seed, progress)
        return listings
    for number, listing in enumerate(listings, 1):
        progress.begin(listing.key, number, len(listings))
        await _list_one(source, client, ledger, listing, options, progress)
    return listings


def _check_since(source: Source, options: CollectionOptions) -> None:
    """Refuse ``since`` if changed objects cannot be listed: all objects would be fetched again."""
    if options.since is None:
        return
    if not source.supports_since:
        raise ConfigError(
            f"{source.rules_museum} does not list changed objects", where=f"since={options.since}",
            remedy="remove it; retry=failed and refresh=true work for this museum too",
        )  # fmt: skip
    if options.ids is not None or (isinstance(source, MetSource) and source.csv is not None):
        raise ConfigError(
            "ids from a file cannot be filtered by date", where=f"since={options.since}",
            remedy="remove ids and source.csv: only the museum's own lists include changes",
        )  # fmt: skip


def _set_listing_mode(ledger: Ledger, source: Source, mode: str) -> None:
    """Store how objects are selected; if the mode has changed, all listings are reset."""
    key = f"chosen:{source.code}"
    if (ledger.get(key) or _MUSEUM) != mode:
        _reset_listing(ledger, source)
    ledger.put(key, mode)


def _reset_listing(ledger: Ledger, source: Source) -> None:
    # In this order: if the process is killed in between, everything is listed again.
    ledger.remove(f"listed:{source.code}:")
    ledger.unlist(source.code)


async def _list_one(
    source: Source,
    client: Client,
    ledger: Ledger,
    listing: Listing,
    options: CollectionOptions,
    progress: ListingProgress,
) -> None:
    listed_key, fetched_key = (f"{kind}:{source.code}:{listing.key}" for kind in ("listed", "asked"))
    listed = ledger.get(listed_key)
    last = ledger.get(fetched_key) or listed
    since = last if options.since == "last" else options.since.isoformat() if options.since else None
    # A list whose objects a dump took over is fetched in full, and then for changes since it was fetched.
    full = [None] if listed is None and (last is not None or since is None) else []
    passes = full + ([since] if since is not None else [])
    if not passes:
        return
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        for changed in passes:
            async for page in source.enumerate(client, listing, changed):
                if changed is not None:
                    client.invalidate(_record_urls(source, page))
                ledger.list_objects(
                    source.code, listing.key, page, seed=options.seed, changed=changed is not None
                )
                progress.add(len(page))
    except FetchError as error:
        raise CollectionError(
            f"the list cannot be fetched: {error}",
            where=f"{source.code} {listing.key}",
            remedy="try again later",
        ) from error
    if last is None or since is not None:
        ledger.put(fetched_key, today)
    ledger.put(listed_key, today)


async def _list_dump(
    source: MetSource,
    path: Path,
    client: Client,
    ledger: Ledger,
    rules: ClassRules,
    classes: tuple[str, ...],
    seed: int,
    progress: ListingProgress,
) -> None:
    changed = path.stat().st_mtime if path.exists() else 0
    key = f"listed:{source.code}:{path.name}:{changed}:{rules.fingerprint}:{','.join(classes)}"
    if ledger.get(key) is not None:
        return
    # Other rules, classes or rows assign objects to the listings of other classes.
    _reset_listing(ledger, source)
    rows = source.dump(path)
    while batch := list(itertools.islice(rows, _ROWS)):
        by_class: dict[str, list[ListedObject]] = {}
        for object_id, record in batch:
            if not isinstance(record, RecordError):
                name = rules.label(source.rules_museum, record).class_name
                if name in classes:
                    by_class.setdefault(name, []).append(ListedObject(object_id))
        for name, items in by_class.items():
            ledger.list_objects(source.code, f"csv:{name}", items, seed=seed)
        progress.add(len(batch))
        await asyncio.sleep(0)  # lets the progress display and Ctrl-C run
        client.raise_if_stopping()
    ledger.put(key, "done")


def _record_urls(source: Source, items: list[ListedObject]) -> list[str]:
    urls = []
    for item in items:
        with contextlib.suppress(RecordError):  # it is refused when it is read
            urls.append(source.record_url(item.object_id))
    return urls


def _read_ids(source: Source, path: Path) -> list[ListedObject]:
    try:
        lines = decode_text(path.read_bytes(), path).split()
    except (OSError, ManifestError) as error:
        raise ConfigError(
            f"the file of ids cannot be read ({error})",
            where=path,
            remedy="give a text file with one id per line",
        ) from error
    for line in lines:
        try:
            source.record_url(line)
        except RecordError as error:
            raise ConfigError(f"'{line}' is {error}", where=path, remedy="write one id per line") from error
    return [ListedObject(line) for line in lines]
