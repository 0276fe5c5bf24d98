"""The index of similar objects, computed while the page is open already."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from heritage.core.terminal import print_line
from heritage.errors import HeritageError
from heritage.server.similar import SimilarObjects
from heritage.server.similar_index import IndexStopped

log = logging.getLogger(__name__)


class LaterIndex:
    """Computes an index in a thread, so that no user waits for it at the first start.

    Predictions have no similar objects until it is complete. If the server ends before, nothing of it is
    kept.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._work: Callable[[], None] | None = None

    def prepare(
        self, build: Callable[[Callable[[], bool]], SimilarObjects], attach: Callable[[SimilarObjects], None]
    ) -> None:
        """Set what `running` computes.

        Args:
            build: Computes the index; it is given a function that returns whether to stop.
            attach: Receives the index.
        """

        def work() -> None:
            try:
                attach(build(self._stop.is_set))
            except IndexStopped:
                return
            except (HeritageError, OSError) as error:
                log.warning("similar objects are not shown: %s", error)
                return
            print_line("similar objects: ready")

        self._work = work

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Compute the index while the block runs, if `prepare` was called; stop at its end."""
        if self._work is None:
            yield
            return
        print_line("similar objects: computed now, once; the page shows them as soon as they are ready")
        thread = threading.Thread(target=self._work, name="similar-objects", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
