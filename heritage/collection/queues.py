"""Work queues over the ledger: objects to read, photographs to fetch, and the quota of each class."""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Callable, Iterator

from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState
from heritage.collection.sources.source import Listing

PAGE = 200
"""Rows per page: the part of the ledger held in memory, per listing and class."""


class Quota:
    """The number of photographs that each class can still take.

    Args:
        allocated: Photographs that are stored or queued, by class.
        classes: The classes collected.
        limit: Maximum number of photographs per class; None for no limit.

    Attributes:
        released: Number of queued photographs that could not be fetched.
    """

    def __init__(self, allocated: dict[str, int], classes: tuple[str, ...], limit: int | None) -> None:
        self._allocated = Counter(allocated)
        self._classes = classes
        self._limit = limit
        self.released = 0

    def room(self, class_name: str) -> int:
        """Return how many more photographs a class can take."""
        if class_name not in self._classes:
            return 0
        return 1 << 30 if self._limit is None else max(0, self._limit - self._allocated[class_name])

    def allocate(self, class_name: str, number: int) -> None:
        """Allocate photographs to a class."""
        self._allocated[class_name] += number

    def release(self, class_name: str) -> None:
        """Release the place of a photograph that could not be fetched."""
        self._allocated[class_name] -= 1
        self.released += 1


class ObjectQueue:
    """Objects to read, from the listings in round-robin order, so that all classes fill at the same rate.

    Labelled objects whose records have changed come first, even if their class is full; then those labelled
    while their class was full, which cost no request.

    Args:
        ledger: The state of the collection.
        museum: The museum's code.
        listings: The listings to read from.
        quota: The quota of each class.
    """

    def __init__(self, ledger: Ledger, museum: str, listings: list[Listing], quota: Quota) -> None:
        self._quota = quota

        def pages(
            listing: Listing, state: ObjectState, class_name: str | None, classes: frozenset[str]
        ) -> _PagedQuery:
            return _PagedQuery(
                functools.partial(ledger.objects_in_state, museum, listing.key, state, class_name), classes
            )

        changed = [_PagedQuery(functools.partial(ledger.changed_objects, museum), None)]
        reserve = [
            pages(listing, ObjectState.RESERVE, name, frozenset({name}))
            for listing in listings
            for name in sorted(listing.classes)
        ]
        fresh = [pages(listing, ObjectState.LISTED, None, listing.classes) for listing in listings]
        self._tiers = (deque(changed), deque(reserve), deque(fresh))
        self._active: set[str] = set()
        self._exhausted_at = -1

    def next(self) -> ObjectRow | None:
        """Return an object of a class that is not full, or None if there is none now."""
        # After exhaustion, only a photograph that could not be fetched makes room again.
        if self._exhausted_at == self._quota.released:
            return None
        for tier in self._tiers:
            for _ in range(len(tier)):
                pages = tier[0]
                tier.rotate(-1)
                if pages.classes is None or any(self._quota.room(name) for name in pages.classes):
                    row = pages.next(self._active)
                    if row is not None:
                        self._active.add(row.object_id)
                        return row
        self._exhausted_at = self._quota.released
        return None

    def done(self, row: ObjectRow) -> None:
        """Mark an object as processed; its new state is in the ledger."""
        self._active.discard(row.object_id)


class _PagedQuery:
    """A paged ledger query; ``classes`` are the classes its rows may fill, None for any."""

    def __init__(self, read: Callable[..., list[ObjectRow]], classes: frozenset[str] | None) -> None:
        self._read = read
        self._rows: Iterator[ObjectRow] = iter(())
        self._last = -1
        self.classes = classes

    def next(self, active: set[str]) -> ObjectRow | None:
        while True:
            row = next(self._rows, None)
            if row is None:
                rows = self._read(after=self._last, limit=PAGE)
                if not rows:
                    # Start over: some rows may have returned to this state.
                    self._last = -1
                    return None
                self._rows = iter(rows)
                continue
            self._last = row.rank
            if row.object_id not in active:
                return row


class ImageQueue:
    """Photographs in a state, in the order in which they were queued.

    Args:
        ledger: The state of the collection.
        museum: The museum's code.
        classes: Their classes; None for all.
        state: Their state.
    """

    def __init__(
        self, ledger: Ledger, museum: str, classes: tuple[str, ...] | None, state: ImageState
    ) -> None:
        self._ledger = ledger
        self._filter = (museum, state, classes)
        self._rows: Iterator[ImageRow] = iter(())
        self._last = 0

    def next(self) -> ImageRow | None:
        """Return the next photograph, or None if there is none now."""
        row = next(self._rows, None)
        if row is None:
            self._rows = iter(self._ledger.images(*self._filter, after=self._last, limit=PAGE))
            row = next(self._rows, None)
        if row is not None:
            self._last = row.id
        return row
