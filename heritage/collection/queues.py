"""What to do next: which object to read, which photograph to fetch, and when a class is full."""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Callable, Iterator

from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState
from heritage.collection.sources.source import Listing

PAGE = 200
"""Rows read from the ledger at once: all that is ever held of it in memory, per listing and class."""


class Quota:
    """How many photographs each class still has room for.

    Args:
        promised: Photographs of each class that are stored or still to come.
        classes: The classes collected.
        limit: Photographs a class may have; None has no limit.

    Attributes:
        withdrawn: How many promises were not kept.
    """

    def __init__(self, promised: dict[str, int], classes: tuple[str, ...], limit: int | None) -> None:
        self._promised = Counter(promised)
        self._classes = classes
        self._limit = limit
        self.withdrawn = 0

    def room(self, class_name: str) -> int:
        """Return how many more photographs a class takes."""
        if class_name not in self._classes:
            return 0
        return 1 << 30 if self._limit is None else max(0, self._limit - self._promised[class_name])

    def take(self, class_name: str, number: int) -> None:
        """Promise photographs to a class."""
        self._promised[class_name] += number

    def give_back(self, class_name: str) -> None:
        """Withdraw a promise: a photograph will not come."""
        self._promised[class_name] -= 1
        self.withdrawn += 1


class ObjectQueue:
    """Objects to read, from each listing in turn, so that the classes fill side by side.

    Objects that are in the collection and changed at the museum come first, whether their class has room or
    not; then those that an earlier run labelled and had no room for: they cost no request.
    """

    def __init__(self, ledger: Ledger, museum: str, listings: list[Listing], quota: Quota) -> None:
        self._quota = quota

        def pages(
            listing: Listing, state: ObjectState, class_name: str | None, classes: frozenset[str]
        ) -> _Pages:
            return _Pages(functools.partial(ledger.to_read, museum, listing.key, state, class_name), classes)

        changed = [_Pages(functools.partial(ledger.to_read_again, museum), None)]
        spare = [
            pages(listing, ObjectState.SPARE, name, frozenset({name}))
            for listing in listings
            for name in sorted(listing.classes)
        ]
        fresh = [pages(listing, ObjectState.LISTED, None, listing.classes) for listing in listings]
        self._tiers = (deque(changed), deque(spare), deque(fresh))
        self._in_hand: set[str] = set()
        self._exhausted_at = -1

    def next(self) -> ObjectRow | None:
        """Return an object of a class that has room, or None where there is none now."""
        # Once there is nothing left, only a photograph that does not come makes room again.
        if self._exhausted_at == self._quota.withdrawn:
            return None
        for tier in self._tiers:
            for _ in range(len(tier)):
                pages = tier[0]
                tier.rotate(-1)
                if pages.classes is None or any(self._quota.room(name) for name in pages.classes):
                    row = pages.next(self._in_hand)
                    if row is not None:
                        self._in_hand.add(row.object_id)
                        return row
        self._exhausted_at = self._quota.withdrawn
        return None

    def done(self, row: ObjectRow) -> None:
        """Give an object back: the ledger says now where it stands."""
        self._in_hand.discard(row.object_id)


class _Pages:
    """Rows of a question to the ledger; ``classes`` are those that they may fill, None does not matter."""

    def __init__(self, read: Callable[..., list[ObjectRow]], classes: frozenset[str] | None) -> None:
        self._read = read
        self._rows: Iterator[ObjectRow] = iter(())
        self._after = -1
        self.classes = classes

    def next(self, in_hand: set[str]) -> ObjectRow | None:
        while True:
            row = next(self._rows, None)
            if row is None:
                rows = self._read(after=self._after, most=PAGE)
                if not rows:
                    # Behind the last one the first are looked at again: some may have come back.
                    self._after = -1
                    return None
                self._rows = iter(rows)
                continue
            self._after = row.rank
            if row.object_id not in in_hand:
                return row


class ImageQueue:
    """Photographs in a state, in the order in which they were wanted.

    Args:
        ledger: Holds them.
        museum: Its code.
        classes: Of these classes; None is all.
        state: In which state.
    """

    def __init__(
        self, ledger: Ledger, museum: str, classes: tuple[str, ...] | None, state: ImageState
    ) -> None:
        self._ledger = ledger
        self._where = (museum, state, classes)
        self._rows: Iterator[ImageRow] = iter(())
        self._after = 0

    def next(self) -> ImageRow | None:
        """Return a photograph, or None where there is none now."""
        row = next(self._rows, None)
        if row is None:
            self._rows = iter(self._ledger.images(*self._where, after=self._after, most=PAGE))
            row = next(self._rows, None)
        if row is not None:
            self._after = row.id
        return row
