"""What `heritage predict` prints: the answers themselves where they are few, counts where they are many."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from heritage.serving.predicting import Predicted

_FEW = 20
_LINES = 1024  # of JSON at a time: embeddings make them long
_COLUMNS = ["file", "answer", "error"]


def show(found: Predicted, console: Console) -> None:
    """Print the answers, or how many pictures got which, and where the table is."""
    if found.pictures <= _FEW:
        console.print(_answers(found))
    counts: Counter[str] = Counter()
    for batch in _batches(found):
        columns = batch.select([name for name in _COLUMNS if name in batch.schema.names]).to_pylist()
        counts.update("unreadable" if row.get("error") else str(row["answer"]) for row in columns)
    said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    resumed = f", {found.resumed:,} of them answered before" if found.resumed else ""
    console.print(f"{found.pictures:,} pictures{resumed}: {said}", highlight=False, soft_wrap=True)
    console.print(f"probabilities: {found.certainty}", highlight=False, soft_wrap=True)
    console.print(f"answers: {found.out}", highlight=False, soft_wrap=True, markup=False)


def _answers(found: Predicted) -> Table:
    table = Table(title="Answers", title_justify="left")
    for name in ("picture", "answer", "probability", "then"):
        table.add_column(name, justify="right" if name == "probability" else "left", overflow="fold")
    for batch in _batches(found):
        for row in batch.to_pylist():
            if row.get("error"):
                table.add_row(row["file"], "", "", row["error"])
                continue
            others = [
                f"{row[f'class_{k}']} {row[f'probability_{k}']:.1%}"
                for k in range(2, len(row))
                if row.get(f"class_{k}")
            ]
            table.add_row(row["file"], row["answer"], f"{row['probability_1']:.1%}", ", ".join(others))
    return table


def _batches(found: Predicted) -> Iterator[pa.RecordBatch]:
    """Read the table again, some rows at a time."""
    if found.form == "parquet":
        with pq.ParquetFile(found.out) as file:
            yield from file.iter_batches(batch_size=4096)
    elif found.form == "csv":
        kinds = {name: found.schema.field(name).type for name in found.schema.names}
        convert = pa_csv.ConvertOptions(column_types=kinds, strings_can_be_null=True, null_values=[""])
        with pa_csv.open_csv(
            found.out, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=convert
        ) as reader:
            yield from reader
    else:
        with found.out.open(encoding="utf-8") as lines:
            while some := [json.loads(line) for line in itertools.islice(lines, _LINES)]:
                yield pa.RecordBatch.from_pylist(some, schema=found.schema)
