"""What came of a run, in a few lines."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from heritage.collection import census
from heritage.collection.ledger import Ledger
from heritage.collection.order import Order
from heritage.collection.sources.source import Source
from heritage.manifest import Manifest

_MOST_REASONS = 12


def show_summary(
    console: Console, ledger: Ledger, source: Source, manifest: Manifest | None, order: Order
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
