"""Report how class rules label the objects of The Met's dump or of collected records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from heritage.collection.ledger import Ledger
from heritage.collection.ledger_check import parsed
from heritage.collection.record import Record, RecordError
from heritage.collection.relabel import stored_records
from heritage.collection.rules import ClassRules
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import Source
from heritage.core.console import Console
from heritage.errors import ConfigError

_MAX_LINES = 15


@dataclass
class RuleReport:
    """Counts of the decisions of class rules.

    Attributes:
        by_rule: Objects by class and deciding rule.
        unmapped: Objects that no rule matches, by department and culture.
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
        decision = rules.label(museum, record)
        if decision.outcome == "labelled":
            self.by_rule[str(decision.class_name), decision.rule] += 1
        elif decision.outcome == "conflict":
            self.conflicts[decision.rule] += 1
        elif decision.outcome == "refused":
            self.refused[f"excluded by {decision.rule}"] += 1
        else:
            self.unmapped[f"department {record.department}, culture {record.culture or 'not given'}"] += 1

    def show(self, console: Console, rules: ClassRules) -> None:
        """Print the counts."""
        table = Table("class", "rule", "objects", title=f"collection={rules.name}", title_justify="left")
        for name in rules.classes:
            counts = sorted((rule, n) for (class_name, rule), n in self.by_rule.items() if class_name == name)
            for rule, number in counts or [("no object", 0)]:
                table.add_row(name, rule, f"{number:,}")
        console.print(table)
        for title, counter in (
            ("unmapped (no rule matches)", self.unmapped),
            ("conflicts (rules disagree)", self.conflicts),
            ("refused", self.refused),
        ):
            console.print(f"{title}: {sum(counter.values()):,}")
            for name, number in counter.most_common(_MAX_LINES):
                console.print(f"  {number:>7,}  {name}", markup=False)
            if len(counter) > _MAX_LINES:
                console.print(f"  … and {len(counter) - _MAX_LINES} more")


def report_on(source: Source, rules: ClassRules, records: str, ledger: Ledger | None) -> RuleReport:
    """Apply rules to records and count the decisions.

    Args:
        source: The museum of the records.
        rules: The class rules.
        records: ``records`` for those in the ledger, or the path of a MetObjects.csv.
        ledger: The ledger, if there is one.

    Raises:
        ConfigError: There are no such records.
    """
    report = RuleReport()
    for record in _records(source, records, ledger):
        report.add(rules, source.rules_museum, record)
    return report


def _records(source: Source, records: str, ledger: Ledger | None) -> Iterable[Record | RecordError]:
    if records != "records":
        if not isinstance(source, MetSource):
            raise ConfigError("only The Met has a dump", where=f"report={records}", remedy="source=met")
        return (record for _, record in source.dump(Path(records)))
    if ledger is None:
        raise ConfigError(
            "nothing has been collected yet",
            where="report=records",
            remedy="give a dump: report=MetObjects.csv",
        )
    return records_of(source, ledger)


def records_of(source: Source, ledger: Ledger) -> Iterable[Record | RecordError]:
    """Yield a museum's records in the ledger, or the error with which reading them fails."""
    for row, raw in stored_records(ledger, source.code):
        try:
            yield source.read(parsed(raw, "a record"), row.object_id, row.listing, "web")
        except RecordError as error:
            yield error
