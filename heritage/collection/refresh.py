"""Asking for stored photographs again, on the condition that they changed (conditional GET)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from heritage.collection.client import Client
from heritage.collection.fetching import FetchError, StoppingError
from heritage.collection.ledger import Ledger
from heritage.collection.schedule import ImageQueue
from heritage.collection.shelf import Shelf
from heritage.collection.sources.source import Source
from heritage.collection.states import ImageRow, ImageState
from heritage.errors import ImageError


async def refresh(
    source: Source, client: Client, ledger: Ledger, shelf: Shelf, classes: tuple[str, ...]
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
    source: Source, client: Client, shelf: Shelf, image: ImageRow, threads: ThreadPoolExecutor
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
