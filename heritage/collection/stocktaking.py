"""Taking stock before a run: what a crash interrupted is finished, what a person deleted is noticed."""

from __future__ import annotations

from heritage.collection.ledger import Ledger
from heritage.collection.schedule import ImageQueue
from heritage.collection.shelf import Shelf
from heritage.collection.states import ImageState


def finish_interrupted(ledger: Ledger, museum: str, shelf: Shelf) -> None:
    """Finish the renames that a killed collector had begun.

    Raises:
        OSError: A file cannot be read or renamed.
    """
    queue = ImageQueue(ledger, museum, None, ImageState.WRITING)
    while (image := queue.next()) is not None:
        shelf.finish(image)


def remove_superseded(ledger: Ledger, museum: str, shelf: Shelf) -> None:
    """Remove the files of photographs that no record shows any more; nothing else has their names.

    Raises:
        OSError: A file cannot be removed.
    """
    queue = ImageQueue(ledger, museum, None, ImageState.SUPERSEDED)
    while (image := queue.next()) is not None:
        shelf.remove(image)


def want_missing_again(ledger: Ledger, museum: str, shelf: Shelf) -> int:
    """Queue stored photographs again whose file is no longer there; each costs one look at the folder.

    Returns:
        How many were missing.
    """
    missing = 0
    queue = ImageQueue(ledger, museum, None, ImageState.STORED)
    while (image := queue.next()) is not None:
        if not shelf.holds(image):
            ledger.end_image(image, ImageState.WANTED, attempts=0)
            missing += 1
    return missing
