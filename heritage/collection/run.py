"""A run: open the folder and the ledger, show the plan, collect, and write the manifest."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from heritage.collection import ledger_counts
from heritage.collection.collector import Collector, Targets, refresh
from heritage.collection.dataset_writer import describe_museum, write_attribution, write_manifest
from heritage.collection.http.cache import open_cache
from heritage.collection.http.client import Client
from heritage.collection.http.errors import StoppingError
from heritage.collection.http.robots import AGENT
from heritage.collection.http.settings import RetryPolicy
from heritage.collection.ledger import LEDGER_FILE, Ledger
from heritage.collection.ledger_check import ledger_error
from heritage.collection.ledger_counts import any_stored
from heritage.collection.listing import list_all_objects
from heritage.collection.options import CollectionOptions
from heritage.collection.plan import make_plan
from heritage.collection.progress import CollectionProgress, ListingProgress, live_progress
from heritage.collection.relabel import relabel, rename_photographs
from heritage.collection.rule_report import report_on
from heritage.collection.rules import ClassRules
from heritage.collection.sources import DemoSource
from heritage.collection.sources.source import Source
from heritage.collection.storage import (
    PhotoStorage,
    recover_interrupted,
    remove_superseded,
    requeue_missing,
)
from heritage.core.console import Console
from heritage.core.event_loop import interrupting, outside_of_loop
from heritage.core.locks import locked
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.signals import RepeatFilter
from heritage.core.version import __version__
from heritage.errors import CollectionError

LOCK_FILE = ".collect.lock"
_PROJECT = "heritage, a research project that recognises civilisations in photographs of artefacts"


@dataclass(frozen=True, kw_only=True)
class CollectionRun:
    """A run over one museum.

    Attributes:
        source: The museum.
        rules: The class rules.
        options: What to collect.
        retry_policy: Retries, timeouts and size limits.
        console: Receives the messages.
    """

    source: Source
    rules: ClassRules
    options: CollectionOptions
    retry_policy: RetryPolicy
    console: Console

    def report(self) -> None:
        """Print how the rules label objects, without a request.

        Raises:
            ConfigError: There are no records to label.
        """
        path = self.options.folder / LEDGER_FILE
        with _ledger(path) if path.is_file() else contextlib.nullcontext() as ledger:
            report_on(self.source, self.rules, str(self.options.report), ledger).show(
                self.console, self.rules
            )

    def collect(self) -> None:
        """Collect, and write the manifest and the attributions.

        Raises:
            CollectionError: The museum or the disk ended the run.
            ConfigError: The terms are not accepted, the options do not fit the museum, the folder cannot be
                written, or another process collects into it (BusyError).
            KeyboardInterrupt: Stopped by the user; finished work is kept.
        """
        outside_of_loop(self._collect)

    def _collect(self) -> None:
        terms = self.source.terms()
        self.source.check_politeness(self.retry_policy.wall_pause)
        if terms:
            for line in terms.splitlines():
                self.console.print(line, highlight=False)
        with (
            single_error(),
            locked(self.options.folder / LOCK_FILE),
            _ledger(self.options.folder / LEDGER_FILE) as ledger,
        ):
            storage = self._storage(ledger)
            self._prepare(ledger, storage)
            try:
                stopped = asyncio.run(self._run(ledger, storage))
            except asyncio.CancelledError:
                stopped = True
            except (CollectionError, ExceptionGroup) as fault:
                if not self.options.dry_run and is_museum_error(fault) and any_stored(ledger):
                    self._finish(ledger)
                raise
            if not self.options.dry_run:
                self._finish(ledger)
        if stopped:
            raise KeyboardInterrupt(
                f"stopped; finished work is kept in {self.options.folder}, "
                "run the same command again to continue"
            )

    def _storage(self, ledger: Ledger) -> PhotoStorage:
        options = self.options
        return PhotoStorage(
            options.folder, ledger, min_side=options.min_side, placeholders=frozenset(options.placeholders)
        )

    def _prepare(self, ledger: Ledger, storage: PhotoStorage) -> None:
        describe_museum(ledger, self.source.museum)
        # First, so that changed rules rename only photographs that are completely stored.
        recover_interrupted(ledger, self.source.code, storage)
        changed = relabel(self.source, ledger, self.rules, self.options.folder)
        if changed:
            self.console.print(f"The rules have changed: new labels for {counted(changed, 'object')}.")
        self._report_size_change(ledger)
        missing = requeue_missing(ledger, self.source.code, storage)
        if missing:
            self.console.print(f"{missing:,} stored photographs are missing and will be fetched again.")
        if self.options.retry == "failed":
            again = ledger.reset_failures(self.source.code)
            self.console.print(f"{again:,} failures will be tried again.")

    def _report_size_change(self, ledger: Ledger) -> None:
        key, size = f"size:{self.source.code}", self.options.size
        before = ledger.get(key) or size
        if before != size and any_stored(ledger):
            self.console.print(
                f"The stored photographs have size={before} and are kept; only new ones will have "
                f"size={size}. To have all of them in this size, collect into another folder (name=…)."
            )
        elif not self.options.dry_run:
            ledger.put(key, size)

    async def _run(self, ledger: Ledger, storage: PhotoStorage) -> bool:
        stop = asyncio.Event()
        cache = open_cache(self.options.cache.path, max_age_days=self.options.cache.max_age_days)
        with _stopping(stop, self.console), cache as records:
            client = Client(
                endpoints=self.source.hosts.values(),
                allowed_hosts=self.source.allowed_hosts,
                user_agent=_user_agent(self.source.contact),
                retry_policy=self.retry_policy,
                allow_private=self.source.allow_private,
                stop=stop,
                cache=records,
            )
            async with _closing(client):
                with contextlib.suppress(StoppingError):
                    await self._steps(ledger, storage, client, stop)
        return stop.is_set()

    async def _steps(
        self, ledger: Ledger, storage: PhotoStorage, client: Client, stop: asyncio.Event
    ) -> None:
        options, classes = self.options, self.options.selected_classes(self.rules)
        listing_progress = ListingProgress(client.hosts)
        async with live_progress(listing_progress, self.console):
            listings = await list_all_objects(
                self.source, client, ledger, self.rules, options, listing_progress
            )
        plan = make_plan(self.source, ledger, self.rules, listings, options)
        plan.show(self.console, self.source, options, self.rules)
        if options.dry_run:
            return
        storage.make_folders()
        collector = Collector(
            source=self.source,
            client=client,
            ledger=ledger,
            storage=storage,
            rules=self.rules,
            targets=Targets(classes=classes, limit=options.limit, views=options.views, size=options.size),
            listings=listings,
            stop=stop,
        )
        expected = collector.stored + plan.photographs
        progress = CollectionProgress(
            client.hosts, lambda: (collector.stored, max(expected, collector.stored))
        )
        async with live_progress(progress, self.console):
            await collector.run()
            if options.refresh:
                replaced = await refresh(self.source, client, ledger, storage, classes)
                self.console.print(f"Replaced, as they have changed: {counted(replaced, 'photograph')}.")

    def _finish(self, ledger: Ledger) -> None:
        rename_photographs(ledger, self.source.code, self.rules, self.options.folder)
        remove_superseded(ledger, self.source.code, self._storage(ledger))
        manifest = write_manifest(ledger, self.options.folder, self.rules)
        if manifest is not None:
            write_attribution(manifest, self.options.folder)
        show_summary(self.console, ledger, self.source, manifest, self.options)


def open_run(
    source: Source | DemoSource, rules: ClassRules, options: CollectionOptions, retry_policy: RetryPolicy
) -> contextlib.AbstractContextManager[CollectionRun]:
    """Open a run; the server of the demo museum runs while it is open."""

    @contextlib.contextmanager
    def opened() -> Iterator[CollectionRun]:
        with source.opened() as museum:
            yield CollectionRun(
                source=museum, rules=rules, options=options, retry_policy=retry_policy, console=Console()
            )

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
    """On Ctrl-C or SIGTERM finish the requests in flight; on a second one stop immediately."""
    repeats = RepeatFilter()
    task = asyncio.current_task()

    def request_stop() -> None:
        repeated = repeats.is_repeated()
        if not stop.is_set():
            stop.set()
            console.print("Finishing the requests in flight; press Ctrl-C again to stop immediately.")
        elif task is not None and not task.cancelling() and not repeated:
            console.print("Stopping immediately.")
            task.cancel()

    with interrupting(request_stop):
        yield


def _user_agent(contact: str | None) -> str:
    about = _PROJECT + (f"; contact: {contact}" if contact else "")
    return f"{AGENT}/{__version__} ({about})"


@contextlib.contextmanager
def single_error() -> Iterator[None]:
    """Convert errors of the disk, the ledger or a task group into one error with a remedy.

    Raises:
        CollectionError: The first error.
    """
    try:
        yield
    except* (CollectionError, OSError, sqlite3.Error) as faults:
        raise _as_collection_error(_first(faults)) from None


def is_museum_error(fault: BaseException) -> bool:
    """Return whether the museum ended the run, and not the disk or the ledger."""
    return isinstance(_first(fault), CollectionError)


def _first(fault: BaseException) -> BaseException:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _as_collection_error(fault: BaseException) -> BaseException:
    if isinstance(fault, OSError):
        return CollectionError(
            fault.strerror or str(fault),
            where=fault.filename or "the collection",
            remedy="make room on the disk, or set folder=…"
            if fault.errno in (errno.ENOSPC, errno.EDQUOT)
            else "check the collection's folder, or set folder=…",
        )
    if isinstance(fault, sqlite3.Error):
        return ledger_error(fault, "the ledger")
    return fault


_MAX_REASONS = 12


def show_summary(
    console: Console, ledger: Ledger, source: Source, manifest: Manifest | None, options: CollectionOptions
) -> None:
    """Print the number of photographs per class, and failures and exclusions with their reasons."""
    if manifest is None:
        console.print(f"No photographs yet in {options.folder}.")
    else:
        rows = zip(manifest.column("class"), manifest.column("status"), strict=True)
        kept = [class_name for class_name, status in rows if status == "kept"]
        table = Table("class", "photographs", title=str(options.folder), title_justify="left")
        for name in manifest.classes:
            table.add_row(name, f"{kept.count(name):,}")
        console.print(table)
    reasons = ledger_counts.failure_reasons(ledger, source.code)
    if reasons:
        console.print("Not collected:")
    for what, state, reason, number in reasons[:_MAX_REASONS]:
        named = what.removesuffix("s") if number == 1 else what
        console.print(f"  {number:>7,} {named} {state}: {reason}".rstrip(": "), markup=False, highlight=False)
    if len(reasons) > _MAX_REASONS:
        console.print(f"  … and {len(reasons) - _MAX_REASONS} more reasons in ledger.sqlite")
    if any(state == "failed" for _, state, _, _ in reasons):
        console.print("Failures are recorded; retry=failed tries them again.")
