"""The collector: objects are read and photographs fetched side by side, the ledger holding both queues.

Readers fetch a record, keep it, label it and enter its photographs in the ledger; fetchers take them
from there. All changes to the ledger happen on the event loop; decoding and syncing happen in threads.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from heritage.collection import ledger_counts as census
from heritage.collection import photographs as images
from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError, StoppingError
from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState
from heritage.collection.queues import ImageQueue, ObjectQueue, Quota
from heritage.collection.record import Record, RecordError, Size
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import Listing, Source
from heritage.collection.storage import PhotoStorage
from heritage.errors import ImageError

T = TypeVar("T", ObjectRow, ImageRow)

BACKLOG = 500
"""Photographs waiting at which no further object is read: records are not asked for before their time."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be collected.

    Attributes:
        classes: Which classes.
        limit: Photographs of each class; None for all.
        views: Photographs of each object, at most.
        size: ``web`` (about 600 pixels) or ``original``.
    """

    classes: tuple[str, ...]
    limit: int | None
    views: int
    size: Size


class Collector:
    """One run over a museum.

    Args:
        source: The museum.
        client: Makes the requests.
        ledger: Remembers.
        shelf: Keeps the photographs.
        rules: Label.
        wishes: What is to be collected.
        listings: Where the objects are listed.
        stop: Set when nothing new may start.

    Attributes:
        stored: Photographs in their place, of all classes.
    """

    def __init__(
        self,
        *,
        source: Source,
        client: Client,
        ledger: Ledger,
        shelf: PhotoStorage,
        rules: ClassRules,
        wishes: Targets,
        listings: list[Listing],
        stop: asyncio.Event,
    ) -> None:
        self._source = source
        self._client = client
        self._ledger = ledger
        self._shelf = shelf
        self._rules = rules
        self._wishes = wishes
        self._stop = stop
        self._quota = Quota(census.promised(ledger, source.code), wishes.classes, wishes.limit)
        self._objects = ObjectQueue(ledger, source.code, listings, self._quota)
        self._images = ImageQueue(ledger, source.code, wishes.classes, ImageState.WANTED)
        wanted = census.images_by_class(ledger, source.code, ImageState.WANTED)
        self._backlog = sum(wanted.get(name, 0) for name in wishes.classes)
        self.stored = census.images_by_state(ledger, source.code).get(ImageState.STORED, 0)
        self._in_hand = 0
        self._images_in_hand = 0
        self._waiters: list[asyncio.Future[None]] = []

    async def run(self) -> None:
        """Collect until every class is full or the museum has no more.

        Raises:
            ExceptionGroup: A host ended the run, or the disk did.
        """
        readers = max(e.concurrency for e in self._source.hosts.values())
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify") as threads:
            async with asyncio.TaskGroup() as group:
                for _ in range(readers):
                    group.create_task(self._work(self._next_object, self._read))
                    group.create_task(self._work(self._next_image, lambda i: self._fetch(i, threads)))

    async def _work(
        self, take: Callable[[], Awaitable[T | None]], do: Callable[[T], Awaitable[None]]
    ) -> None:
        while (item := await take()) is not None:
            try:
                await do(item)
            except StoppingError:
                return
            finally:
                self._in_hand -= 1
                self._wake()

    async def _next_object(self) -> ObjectRow | None:
        return await self._next(lambda: None if self._backlog >= BACKLOG else self._objects.next())

    async def _next_image(self) -> ImageRow | None:
        image = await self._next(
            lambda: self._images.next() if self._backlog > self._images_in_hand else None
        )
        self._images_in_hand += image is not None
        return image

    async def _next(self, take: Callable[[], T | None]) -> T | None:
        """Return something to do; None at the end, when nothing under way could bring more either."""
        while not self._stop.is_set():
            item = take()
            if item is not None:
                self._in_hand += 1
                return item
            if self._in_hand == 0 and self._backlog == 0:
                break
            turn = asyncio.get_running_loop().create_future()
            self._waiters.append(turn)
            await turn
        self._wake()
        return None

    def _wake(self) -> None:
        for turn in self._waiters:
            if not turn.done():
                turn.set_result(None)
        self._waiters.clear()

    async def _read(self, row: ObjectRow) -> None:
        try:
            raw = await self._raw(row)
            record = self._source.read(raw, row.object_id, row.listing, self._wishes.size)
        except RecordError as error:
            # A record that is of another object may be the right one the next time.
            state = ObjectState.REFUSED if error.final else ObjectState.FAILED
            if not error.final:
                self._client.forget([self._source.record_url(row.object_id)])
            self._ledger.end_object(row, state, str(error), attempts=1)
        except FetchError as error:
            self._ledger.end_object(row, ObjectState(error.state), str(error), error.attempts)
        else:
            self._label(row, record)
        finally:
            self._objects.done(row)

    async def _raw(self, row: ObjectRow) -> Any:
        if row.raw is not None:
            return json.loads(row.raw)
        url = self._source.record_url(row.object_id)
        body, said = await self._client.json(url)
        self._ledger.keep_raw(row, body)
        return said

    def _label(self, row: ObjectRow, record: Record) -> None:
        verdict = self._rules.label(self._source.rules_museum, record)
        name = verdict.class_name
        # An object that has photographs keeps them, also when its record is read again and its class is full.
        linked = self._ledger.is_linked(row)
        spare = name is not None and not linked and self._quota.room(name) == 0
        if name is not None and not spare:
            class_id = self._rules.class_id(name)
            number = self._wishes.views if linked else min(self._wishes.views, self._quota.room(name))
            wanted = [
                (images.stem_of(class_id, self._source.code, record.object_id, position), photo)
                for position, photo in enumerate(record.photographs[:number])
            ]
            new = self._ledger.judge(row, record, verdict, spare=False, photographs=wanted)
            self._quota.take(name, new)
            self._backlog += new
        else:
            self._ledger.judge(row, record, verdict, spare=spare)

    async def _fetch(self, image: ImageRow, threads: ThreadPoolExecutor) -> None:
        body = self._shelf.body(image)
        try:
            answer = await self._client.fetch(self._source.fetch_url(image.url), "image", body)
            stored = await asyncio.get_running_loop().run_in_executor(threads, self._shelf.write, image, body)
        except FetchError as error:
            self._lose(image, ImageState(error.state), str(error), error.attempts)
        except ImageError as error:
            body.discard()
            self._lose(image, ImageState.REFUSED, error.what, 1)
        else:
            self._shelf.put(image, stored, answer.headers)
            self.stored += 1
            self._backlog -= 1
        finally:
            self._images_in_hand -= 1
            body.close()

    def _lose(self, image: ImageRow, state: ImageState, reason: str, attempts: int) -> None:
        self._ledger.end_image(image, state, reason, attempts)
        self._quota.give_back(image.class_name)
        self._backlog -= 1


async def refresh(
    source: Source, client: Client, ledger: Ledger, shelf: PhotoStorage, classes: tuple[str, ...]
) -> int:
    """Fetch again what changed on the image host; what is there stays until its successor is verified.

    What cannot be had now, or is no photograph worth having, leaves the stored one.

    Returns:
        How many photographs were replaced.

    Raises:
        ExceptionGroup: A host ended the run (CollectionError), or the disk did (OSError).
    """
    queue = ImageQueue(ledger, source.code, classes, ImageState.STORED)
    replaced = 0

    async def work() -> None:
        nonlocal replaced
        while (image := queue.next()) is not None:
            try:
                # In two steps: `+=` around an await would add to a number that others have changed since.
                changed = await _refresh_one(source, client, shelf, image, threads)
                replaced += changed
            except StoppingError:
                return
            except (FetchError, ImageError):
                continue  # the stored one is still good

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify") as threads:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(e.concurrency for e in source.hosts.values())):
                group.create_task(work())
    return replaced


async def _refresh_one(
    source: Source, client: Client, shelf: PhotoStorage, image: ImageRow, threads: ThreadPoolExecutor
) -> bool:
    known = {"If-None-Match": image.etag, "If-Modified-Since": image.last_modified}
    body = shelf.body(image, {name: value for name, value in known.items() if value})
    try:
        answer = await client.fetch(source.fetch_url(image.url), "image", body)
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return False
        stored = await asyncio.get_running_loop().run_in_executor(threads, shelf.write, image, body)
    except ImageError:
        body.discard()
        raise
    finally:
        body.close()
    shelf.put(image, stored, answer.headers)
    return stored.sha256 != image.sha256
