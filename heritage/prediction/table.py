"""Answers as rows of a table: one a picture, also where it could not be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from heritage.core.files import atomic_path
from heritage.prediction.images import PictureBatch
from heritage.prediction.inputs import Inputs
from heritage.prediction.predictor import UNSURE, BatchPrediction, DecisionRule

Format = Literal["csv", "jsonl", "parquet"]


def answer_schema(top_k: int, width: int | None) -> pa.Schema:
    """Return the columns of a table of answers.

    Args:
        top_k: How many classes a row names, best first.
        width: Length of an embedding; None leaves embeddings out.
    """
    ranked = [(f"{name}_{k}", kind) for k in range(1, top_k + 1) for name, kind in _RANKED]
    embedding = [] if width is None else [("embedding", pa.list_(pa.float32(), width))]
    return pa.schema(
        [
            ("file", pa.string()),
            ("answer", pa.string()),  # a class, or "unsure"; null where the picture cannot be read
            ("unsure", pa.bool_()),
            *ranked,
            ("error", pa.string()),
            *embedding,
        ]
    )


_RANKED = (("class", pa.string()), ("probability", pa.float64()))


def answer_rows(
    inputs: Inputs,
    batch: PictureBatch,
    answer: BatchPrediction,
    classes: Sequence[str],
    certainty: DecisionRule,
    schema: pa.Schema,
) -> pa.Table:
    """Make the rows of a batch, in its order.

    Args:
        inputs: Names of the pictures.
        batch: What was asked about: B pictures that can be read and U that cannot.
        answer: For the B.
        classes: The class list.
        certainty: Says what is unsure.
        schema: From `answer_schema`.
    """
    readable = [place for place in range(len(batch.rows)) if place not in batch.faults]
    position = np.full(len(batch.rows), -1)
    position[readable] = np.arange(len(readable))
    order = np.argsort(-answer.probabilities, axis=1, kind="stable")
    rows = []
    for place, row in enumerate(batch.rows):
        found: dict[str, Any] = {"file": inputs.name(row), "error": batch.faults.get(place)}
        if place not in batch.faults:
            k = int(position[place])
            found |= _said(answer.probabilities[k], order[k], classes, certainty, schema)
            if "embedding" in schema.names:
                found["embedding"] = answer.embeddings[k]
        rows.append(found)
    return pa.Table.from_pylist(rows, schema=schema)


def _said(
    probabilities: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
    classes: Sequence[str],
    certainty: DecisionRule,
    schema: pa.Schema,
) -> dict[str, Any]:
    best = float(probabilities[order[0]])
    unsure = certainty.unsure(best)
    said: dict[str, Any] = {"answer": UNSURE if unsure else classes[order[0]], "unsure": unsure}
    for rank, k in enumerate(order.tolist(), start=1):
        if f"class_{rank}" in schema.names:
            said |= {f"class_{rank}": classes[k], f"probability_{rank}": round(float(probabilities[k]), 6)}
    return said


def write_rows(table: pa.Table, path: Path, form: Format) -> None:
    """Write rows atomically, as CSV with its header, JSON lines or Parquet."""
    with atomic_path(path) as temporary:
        if form == "parquet":
            pq.write_table(table, temporary, compression="zstd")
        elif form == "csv":
            pa_csv.write_csv(table, temporary, pa_csv.WriteOptions(quoting_style="needed"))
        else:
            lines = (json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in table.to_pylist())
            temporary.write_text("".join(lines), encoding="utf-8")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def join_rows(parts: Iterable[Path], path: Path, form: Format, schema: pa.Schema) -> None:
    """Join files that `write_rows` wrote into one, holding one at a time in memory."""
    with atomic_path(path) as temporary:
        if form == "parquet":
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for part in parts:
                    writer.write_table(pq.read_table(part))
            return
        with temporary.open("wb") as joined:
            for number, part in enumerate(parts):
                content = part.read_bytes()
                # each part has the header; a header's names hold no line break
                joined.write(content.partition(b"\n")[2] if form == "csv" and number else content)
