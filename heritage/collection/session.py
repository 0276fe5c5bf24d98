"""A whole run: the folder, the ledger, the plan, the collecting, and what is written at the end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from heritage.collection import ledger_counts as census
from heritage.collection.collector import Collector, Targets, refresh
from heritage.collection.dataset_writer import describe_museum, export, write_attribution
from heritage.collection.http.cache import opened_cache
from heritage.collection.http.client import Client
from heritage.collection.http.errors import StoppingError
from heritage.collection.http.robots import AGENT
from heritage.collection.http.settings import RetryPolicy
from heritage.collection.ledger import LEDGER_FILE, Ledger
from heritage.collection.ledger_counts import holds_photographs
from heritage.collection.listing import list_all
from heritage.collection.options import CollectionOptions
from heritage.collection.plan import make_plan
from heritage.collection.progress import CollectingView, ListingView, shown
from heritage.collection.relabel import relabel, rename
from heritage.collection.rule_report import report_on
from heritage.collection.rules import ClassRules
from heritage.collection.sources import DemoSource
from heritage.collection.sources.source import Source
from heritage.collection.storage import (
    PhotoStorage,
    finish_interrupted,
    remove_superseded,
    want_missing_again,
)
from heritage.core.files import locked
from heritage.core.manifest import Manifest
from heritage.core.version import __version__
from heritage.errors import CollectionError

LOCK_FILE = ".collect.lock"
_PROJECT = "heritage, a research project that recognises civilisations in photographs of artefacts"


@dataclass(frozen=True, kw_only=True)
class Session:
    """A museum, class rules and an order, opened on a folder.

    Attributes:
        source: The museum.
        rules: What labels its objects.
        order: What is to be collected.
        patience: How long to wait for the museum.
        console: Where people read.
    """

    source: Source
    rules: ClassRules
    order: CollectionOptions
    patience: RetryPolicy
    console: Console

    def report(self) -> None:
        """Print what the rules give, without any request.

        Raises:
            ConfigError: There is nothing to apply them to.
        """
        path = self.order.folder / LEDGER_FILE
        with _ledger(path) if path.is_file() else contextlib.nullcontext() as ledger:
            report_on(self.source, self.rules, str(self.order.report), ledger).show(self.console, self.rules)

    def collect(self) -> None:
        """Collect, and write the manifest and the attributions.

        Raises:
            CollectionError: The museum or the disk stands in the way.
            ConfigError: The terms are not accepted, the order does not fit the museum, the folder cannot be
                written, or another collector is at work in it (BusyError).
            KeyboardInterrupt: A person stopped it; everything finished is kept.
        """
        terms = self.source.terms()
        self.source.require_manners(self.patience.wall_pause)
        if terms:
            self.console.print(terms, markup=False, highlight=False)
        with (
            one_error(),
            locked(self.order.folder / LOCK_FILE),
            _ledger(self.order.folder / LEDGER_FILE) as ledger,
        ):
            shelf = self._shelf(ledger)
            self._prepare(ledger, shelf)
            try:
                stopped = asyncio.run(self._run(ledger, shelf))
            except asyncio.CancelledError:
                stopped = True
            except (CollectionError, ExceptionGroup) as fault:
                if not self.order.dry_run and is_the_museums(fault) and holds_photographs(ledger):
                    self._finish(ledger)
                raise
            if not self.order.dry_run:
                self._finish(ledger)
        if stopped:
            raise KeyboardInterrupt(
                f"stopped; what is finished is kept in {self.order.folder}: start the same command to go on"
            )

    def _shelf(self, ledger: Ledger) -> PhotoStorage:
        order = self.order
        return PhotoStorage(
            order.folder, ledger, min_side=order.min_side, placeholders=frozenset(order.placeholders)
        )

    def _prepare(self, ledger: Ledger, shelf: PhotoStorage) -> None:
        describe_museum(ledger, self.source.museum)
        # Before new rules rename what is stored, everything is either stored or not.
        finish_interrupted(ledger, self.source.code, shelf)
        changed = relabel(self.source, ledger, self.rules, self.order.folder)
        if changed:
            self.console.print(f"The rules changed: {changed:,} objects have another label now.")
        self._tell_size(ledger)
        missing = want_missing_again(ledger, self.source.code, shelf)
        if missing:
            self.console.print(f"{missing:,} stored photographs are no longer there and are fetched again.")
        if self.order.retry == "failed":
            again = ledger.try_failed_again(self.source.code)
            self.console.print(f"{again:,} failures are tried again.")

    def _tell_size(self, ledger: Ledger) -> None:
        key, size = f"size:{self.source.code}", self.order.size
        before = ledger.get(key) or size
        if before != size and holds_photographs(ledger):
            self.console.print(
                f"The photographs here were taken at size={before} and stay; only further ones come at "
                f"size={size}. For all of them, collect into another folder (name=…)."
            )
        elif not self.order.dry_run:
            ledger.put(key, size)

    async def _run(self, ledger: Ledger, shelf: PhotoStorage) -> bool:
        stop = asyncio.Event()
        cache = opened_cache(self.order.cache.path, max_age_days=self.order.cache.max_age_days)
        with _stopping(stop, self.console), cache as records:
            client = Client(
                endpoints=self.source.hosts.values(),
                allowed_hosts=self.source.allowed_hosts,
                user_agent=_user_agent(self.source.contact),
                patience=self.patience,
                allow_private=self.source.allow_private,
                stop=stop,
                cache=records,
            )
            async with _closing(client):
                with contextlib.suppress(StoppingError):
                    await self._steps(ledger, shelf, client, stop)
        return stop.is_set()

    async def _steps(self, ledger: Ledger, shelf: PhotoStorage, client: Client, stop: asyncio.Event) -> None:
        order, classes = self.order, self.order.chosen(self.rules)
        listing = ListingView(client.hosts)
        async with shown(listing, self.console):
            listings = await list_all(self.source, client, ledger, self.rules, order, listing)
        plan = make_plan(self.source, ledger, self.rules, listings, order)
        plan.show(self.console, self.source, order, self.rules)
        if order.dry_run:
            return
        shelf.make_folders()
        collector = Collector(
            source=self.source,
            client=client,
            ledger=ledger,
            shelf=shelf,
            rules=self.rules,
            wishes=Targets(classes=classes, limit=order.limit, views=order.views, size=order.size),
            listings=listings,
            stop=stop,
        )
        expected = collector.stored + plan.photographs
        view = CollectingView(client.hosts, lambda: (collector.stored, max(expected, collector.stored)))
        async with shown(view, self.console):
            await collector.run()
            if order.refresh:
                replaced = await refresh(self.source, client, ledger, shelf, classes)
                self.console.print(f"{replaced:,} photographs had changed and were replaced.")

    def _finish(self, ledger: Ledger) -> None:
        rename(ledger, self.source.code, self.rules, self.order.folder)
        remove_superseded(ledger, self.source.code, self._shelf(ledger))
        manifest = export(ledger, self.order.folder, self.rules)
        if manifest is not None:
            write_attribution(manifest, self.order.folder)
        show_summary(self.console, ledger, self.source, manifest, self.order)


def open_session(
    source: Source | DemoSource, rules: ClassRules, order: CollectionOptions, patience: RetryPolicy
) -> contextlib.AbstractContextManager[Session]:
    """Open a museum for a run; the demo museum's server runs while the session is open."""

    @contextlib.contextmanager
    def opened() -> Iterator[Session]:
        with source.opened() as museum:
            yield Session(source=museum, rules=rules, order=order, patience=patience, console=Console())

    return opened()


@contextlib.contextmanager
def _ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    try:
        yield ledger
    finally:
        ledger.close()


@contextlib.asynccontextmanager
async def _closing(client: Client) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await client.aclose()


@contextlib.contextmanager
def _stopping(stop: asyncio.Event, console: Console) -> Iterator[None]:
    """Let Ctrl-C (and a cluster's SIGTERM) finish what is in flight; a second one stops at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def ask() -> None:
        if not stop.is_set():
            stop.set()
            console.print("Finishing what is in flight; Ctrl-C again stops at once.")
        elif task is not None and not task.cancelling():
            console.print("Stopping at once.")
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _user_agent(contact: str | None) -> str:
    about = _PROJECT + (f"; contact: {contact}" if contact else "")
    return f"{AGENT}/{__version__} ({about})"


@contextlib.contextmanager
def one_error() -> Iterator[None]:
    """Turn what the disk, the ledger or a group of tasks raises into one error that says what to do.

    Raises:
        CollectionError: The first of what was raised.
    """
    try:
        yield
    except* (CollectionError, OSError, sqlite3.Error) as faults:
        raise _told(_first(faults)) from None


def is_the_museums(fault: BaseException) -> bool:
    """Tell whether a museum ended the run, and not the disk or the ledger: what was collected is whole."""
    return isinstance(_first(fault), CollectionError)


def _first(fault: BaseException) -> BaseException:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _told(fault: BaseException) -> BaseException:
    if isinstance(fault, OSError):
        said = fault.strerror or str(fault)
        return CollectionError(
            said, where=fault.filename or "the collection", remedy="make room on the disk, or set folder=…"
        )
    if isinstance(fault, sqlite3.Error):
        return CollectionError(
            f"cannot be used ({fault})", where="the ledger", remedy="free some space on the disk"
        )
    return fault


_MOST_REASONS = 12


def show_summary(
    console: Console, ledger: Ledger, source: Source, manifest: Manifest | None, order: CollectionOptions
) -> None:
    """Print what is in the folder, what was left out and why, and what to do next."""
    if manifest is None:
        console.print(f"Not one photograph yet in {order.folder}.")
    else:
        rows = zip(manifest.column("class"), manifest.column("status"), strict=True)
        kept = [class_name for class_name, status in rows if status == "kept"]
        table = Table("class", "photographs", title=str(order.folder), title_justify="left")
        for name in manifest.classes:
            table.add_row(name, f"{kept.count(name):,}")
        console.print(table)
    reasons = census.reasons(ledger, source.code)
    if reasons:
        console.print("Left out:")
    for what, state, reason, number in reasons[:_MOST_REASONS]:
        console.print(f"  {number:>7,} {what} {state}: {reason}".rstrip(": "), markup=False, highlight=False)
    if len(reasons) > _MOST_REASONS:
        console.print(f"  … and {len(reasons) - _MOST_REASONS} reasons more in ledger.sqlite")
    if any(state == "failed" for _, state, _, _ in reasons):
        console.print("Failures are remembered; retry=failed tries them again.")
