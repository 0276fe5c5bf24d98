"""What class rules give, before any photograph is fetched: on The Met's dump, or on collected records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from heritage.collection.ledger import Ledger
from heritage.collection.record import Record, RecordError
from heritage.collection.relabel import kept_records
from heritage.collection.rules import ClassRules
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import Source
from heritage.errors import ConfigError

_MOST_LINES = 15


@dataclass
class RuleReport:
    """Counts of what the rules said.

    Attributes:
        by_rule: Objects by class and the rule that decided.
        unmapped: Objects no rule holds for, by department and culture.
        conflicts: Objects on which rules disagree, by those rules.
        refused: Objects that must not or cannot be used, by reason.
    """

    by_rule: Counter[tuple[str, str]] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, rules: ClassRules, museum: str, record: Record | RecordError) -> None:
        """Count a record."""
        if isinstance(record, RecordError):
            self.refused[str(record)] += 1
            return
        verdict = rules.label(museum, record)
        if verdict.outcome == "labelled":
            self.by_rule[str(verdict.class_name), verdict.rule] += 1
        elif verdict.outcome == "conflict":
            self.conflicts[verdict.rule] += 1
        elif verdict.outcome == "refused":
            self.refused[f"set aside by {verdict.rule}"] += 1
        else:
            self.unmapped[f"department {record.department}, culture {record.culture or 'not given'}"] += 1

    def show(self, console: Console, rules: ClassRules) -> None:
        """Print the counts."""
        table = Table("class", "rule", "objects", title=f"collection={rules.name}", title_justify="left")
        for name in rules.classes:
            found = sorted((rule, n) for (class_name, rule), n in self.by_rule.items() if class_name == name)
            for rule, number in found or [("no object", 0)]:
                table.add_row(name, rule, f"{number:,}")
        console.print(table)
        for title, counts in (
            ("unmapped (no rule holds)", self.unmapped),
            ("conflicts (rules disagree)", self.conflicts),
            ("refused", self.refused),
        ):
            console.print(f"{title}: {sum(counts.values()):,}")
            for what, number in counts.most_common(_MOST_LINES):
                console.print(f"  {number:>7,}  {what}", markup=False)
            if len(counts) > _MOST_LINES:
                console.print(f"  … and {len(counts) - _MOST_LINES} kinds more")


def report_on(source: Source, rules: ClassRules, what: str, ledger: Ledger | None) -> RuleReport:
    """Apply rules to records and count.

    Args:
        source: The museum whose records they are.
        rules: The rules.
        what: ``records`` for those of the ledger, or the path of a MetObjects.csv.
        ledger: The ledger, where there is one.

    Raises:
        ConfigError: There are no such records.
    """
    report = RuleReport()
    for record in _records(source, what, ledger):
        report.add(rules, source.rules_museum, record)
    return report


def _records(source: Source, what: str, ledger: Ledger | None) -> Iterable[Record | RecordError]:
    if what != "records":
        if not isinstance(source, MetSource):
            raise ConfigError(
                "a dump can be read of The Met alone", where=f"report={what}", remedy="source=met"
            )
        return (record for _, record in source.dump(Path(what)))
    if ledger is None:
        raise ConfigError(
            "nothing is collected yet", where="report=records", remedy="give a dump: report=MetObjects.csv"
        )
    return records_of(source, ledger)


def records_of(source: Source, ledger: Ledger) -> Iterable[Record | RecordError]:
    """Yield the records that the ledger keeps of a museum, read anew; what was refused, as its reason."""
    for row, raw in kept_records(ledger, source.code):
        try:
            yield source.read(json.loads(raw), row.object_id, row.listing, "web")
        except RecordError as error:
            yield error
