"""The collector's workers: they read records and fetch photographs concurrently, from queues in the ledger.

Readers fetch a record, store it, label it and queue its photographs; fetchers download them. The ledger is
written on the event loop only; decoding and syncing run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from heritage.collection import ledger_counts
from heritage.collection.http.body import sendable
from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError, StoppingError
from heritage.collection.image_validation import file_stem
from heritage.collection.ledger import Ledger
from heritage.collection.ledger_check import parsed
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState
from heritage.collection.queues import ImageQueue, ObjectQueue, Quota
from heritage.collection.record import Record, RecordError, Size
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import Listing, Source
from heritage.collection.storage import PhotoStorage
from heritage.errors import ImageError

T = TypeVar("T", ObjectRow, ImageRow)

BACKLOG = 500
"""Queued photographs at which reading pauses: records are not requested before they are needed."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What to collect.

    Attributes:
        classes: The classes.
        limit: Maximum number of photographs per class; None for all.
        views: Maximum number of photographs per object.
        size: ``web`` (about 600 pixels) or ``original``.
    """

    classes: tuple[str, ...]
    limit: int | None
    views: int
    size: Size


class Collector:
    """The workers of one run.

    Args:
        source: The museum.
        client: The HTTP client.
        ledger: The state of the collection.
        storage: The photographs on disk.
        rules: The class rules.
        targets: What to collect.
        listings: The listings to collect from.
        stop: Set when no new work may start.

    Attributes:
        stored: Number of stored photographs, of all classes.
    """

    def __init__(
        self,
        *,
        source: Source,
        client: Client,
        ledger: Ledger,
        storage: PhotoStorage,
        rules: ClassRules,
        targets: Targets,
        listings: list[Listing],
        stop: asyncio.Event,
    ) -> None:
        self._source = source
        self._client = client
        self._ledger = ledger
        self._storage = storage
        self._rules = rules
        self._targets = targets
        self._stop = stop
        self._quota = Quota(ledger_counts.allocated(ledger, source.code), targets.classes, targets.limit)
        self._objects = ObjectQueue(ledger, source.code, listings, self._quota)
        self._images = ImageQueue(ledger, source.code, targets.classes, ImageState.QUEUED)
        queued = ledger_counts.images_by_class(ledger, source.code, ImageState.QUEUED)
        self._backlog = sum(queued.get(name, 0) for name in targets.classes)
        self.stored = ledger_counts.images_by_state(ledger, source.code).get(ImageState.STORED, 0)
        self._active = 0
        self._active_images = 0
        self._waiters: list[asyncio.Future[None]] = []

    async def run(self) -> None:
        """Collect until every class is full or no object is left.

        Raises:
            ExceptionGroup: A host ended the run (CollectionError), or the disk failed (OSError).
        """
        readers = max(e.concurrency for e in self._source.hosts.values())
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="validate") as threads:
            async with asyncio.TaskGroup() as group:
                for _ in range(readers):
                    group.create_task(self._work(self._next_object, self._read))
                    group.create_task(self._work(self._next_image, lambda i: self._fetch(i, threads)))

    async def _work(
        self, next_item: Callable[[], Awaitable[T | None]], process: Callable[[T], Awaitable[None]]
    ) -> None:
        while (item := await next_item()) is not None:
            try:
                await process(item)
            except StoppingError:
                return
            finally:
                self._active -= 1
                self._wake()

    async def _next_object(self) -> ObjectRow | None:
        return await self._next(lambda: None if self._backlog >= BACKLOG else self._objects.next())

    async def _next_image(self) -> ImageRow | None:
        image = await self._next(lambda: self._images.next() if self._backlog > self._active_images else None)
        self._active_images += image is not None
        return image

    async def _next(self, poll: Callable[[], T | None]) -> T | None:
        """Wait for an item; returns None at the end, when no active worker can queue more."""
        while not self._stop.is_set():
            item = poll()
            if item is not None:
                self._active += 1
                return item
            if self._active == 0 and self._backlog == 0:
                break
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self._wake()
        return None

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def _read(self, row: ObjectRow) -> None:
        try:
            raw = await self._raw(row)
            record = self._source.read(raw, row.object_id, row.listing, self._targets.size)
        except RecordError as error:
            # If the record is of another object, the next response may be the right one.
            state = ObjectState.REFUSED if error.final else ObjectState.FAILED
            if not error.final:
                self._client.invalidate([self._source.record_url(row.object_id)])
            self._ledger.finish_object(row, state, str(error), attempts=1)
        except FetchError as error:
            self._ledger.finish_object(row, ObjectState(error.state), str(error), error.attempts)
        else:
            self._label(row, record)
        finally:
            self._objects.done(row)

    async def _raw(self, row: ObjectRow) -> Any:
        if row.raw is not None:
            return parsed(row.raw, "a record")
        url = self._source.record_url(row.object_id)
        body, record = await self._client.json(url)
        self._ledger.store_raw(row, body)
        return record

    def _label(self, row: ObjectRow, record: Record) -> None:
        decision = self._rules.label(self._source.rules_museum, record)
        name = decision.class_name
        # An object keeps its photographs when its record is read again while its class is full.
        linked = self._ledger.has_images(row)
        reserve = name is not None and not linked and self._quota.room(name) == 0
        if name is not None and not reserve:
            class_id = self._rules.class_id(name)
            number = self._targets.views if linked else min(self._targets.views, self._quota.room(name))
            photographs = [
                (file_stem(class_id, self._source.code, record.object_id, position), photo)
                for position, photo in enumerate(record.photographs[:number])
            ]
            new = self._ledger.record_label(row, record, decision, reserve=False, photographs=photographs)
            self._quota.allocate(name, new)
            self._backlog += new
        else:
            self._ledger.record_label(row, record, decision, reserve=reserve)

    async def _fetch(self, image: ImageRow, threads: ThreadPoolExecutor) -> None:
        body = self._storage.body(image)
        try:
            response = await self._client.fetch(self._source.fetch_url(image.url), "image", body)
            stored = await asyncio.get_running_loop().run_in_executor(
                threads, self._storage.write, image, body
            )
        except FetchError as error:
            self._discard(image, ImageState(error.state), str(error), error.attempts)
        except ImageError as error:
            body.discard()
            self._discard(image, ImageState.REFUSED, error.what, 1)
        else:
            self._storage.commit(image, stored, response.headers)
            self.stored += 1
            self._backlog -= 1
        finally:
            self._active_images -= 1
            body.close()

    def _discard(self, image: ImageRow, state: ImageState, reason: str, attempts: int) -> None:
        self._ledger.finish_image(image, state, reason, attempts)
        self._quota.release(image.class_name)
        self._backlog -= 1


async def refresh(
    source: Source, client: Client, ledger: Ledger, storage: PhotoStorage, classes: tuple[str, ...]
) -> int:
    """Fetch photographs again that have changed on the image server.

    A stored photograph is replaced only by a valid one: if fetching or validation fails, it stays.

    Returns:
        Number of photographs replaced.

    Raises:
        ExceptionGroup: A host ended the run (CollectionError), or the disk failed (OSError).
    """
    queue = ImageQueue(ledger, source.code, classes, ImageState.STORED)
    replaced = 0

    async def work() -> None:
        nonlocal replaced
        while (image := queue.next()) is not None:
            try:
                # Two steps: `replaced += await …` would add to a value that other tasks have changed since.
                changed = await _refresh_one(source, client, storage, image, threads)
                replaced += changed
            except StoppingError:
                return
            except (FetchError, ImageError):
                continue  # the stored one is still valid

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="validate") as threads:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(e.concurrency for e in source.hosts.values())):
                group.create_task(work())
    return replaced


async def _refresh_one(
    source: Source, client: Client, storage: PhotoStorage, image: ImageRow, threads: ThreadPoolExecutor
) -> bool:
    validators = {
        "If-None-Match": sendable(image.etag),
        "If-Modified-Since": sendable(image.last_modified),
    }
    body = storage.body(image, {name: value for name, value in validators.items() if value})
    try:
        response = await client.fetch(source.fetch_url(image.url), "image", body)
        if response.status == HTTPStatus.NOT_MODIFIED:
            return False
        stored = await asyncio.get_running_loop().run_in_executor(threads, storage.write, image, body)
    except ImageError:
        body.discard()
        raise
    finally:
        body.close()
    storage.commit(image, stored, response.headers)
    return stored.sha256 != image.sha256
