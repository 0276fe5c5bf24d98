"""Predictions as rows of a table: one for each image, readable or not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heritage.core.csv_files import write_arrow
from heritage.core.files import atomic_path
from heritage.metrics.finite import NO_PREDICTION
from heritage.prediction.batch_prediction import BatchPrediction
from heritage.prediction.decision_rule import UNSURE, DecisionRule
from heritage.prediction.images import ImageBatch
from heritage.prediction.inputs import Inputs
from heritage.runs.outliers import UNLIKE, is_unlike

Format = Literal["csv", "jsonl", "parquet"]

SET_SEPARATOR = "; "
"""Separator of the classes of a prediction set in a cell."""

_RANKED = (("class", pa.string()), ("probability", pa.float64()))


def prediction_schema(
    top_k: int, width: int | None, *, prior: bool = False, sets: bool = False, outliers: bool = False
) -> pa.Schema:
    """Return the columns of a table of predictions.

    Args:
        top_k: Number of classes in a row, the most probable first.
        width: Length of an embedding; None leaves embeddings out.
        sets: Whether there is a column of prediction sets.
        prior: Whether rows name the class frequencies that they are for.
        outliers: Whether images unlike the training images are marked.
    """
    frequencies = [("prior", pa.string())] if prior else []
    ranked = [(f"{name}_{k}", kind) for k in range(1, top_k + 1) for name, kind in _RANKED]
    embedding = [] if width is None else [("embedding", pa.list_(pa.float32(), width))]
    return pa.schema(
        [
            ("file", pa.string()),
            ("prediction", pa.string()),  # a class, "unsure" or "unlike_training"; null if there is an error
            ("unsure", pa.bool_()),
            *([(UNLIKE, pa.bool_()), ("outlier_score", pa.float64())] if outliers else []),
            *([("prediction_set", pa.string())] if sets else []),  # classes, the most probable first
            *ranked,
            *frequencies,
            ("error", pa.string()),
            *embedding,
        ]
    )


def prediction_rows(
    inputs: Inputs,
    batch: ImageBatch,
    output: BatchPrediction,
    classes: Sequence[str],
    decision_rule: DecisionRule,
    schema: pa.Schema,
) -> pa.Table:
    """Return the rows of a batch, in its order.

    Args:
        inputs: Names of all images.
        batch: B readable images and U unreadable ones.
        output: The network's output for the B readable images.
        classes: The class list.
        decision_rule: Decides which predictions are unsure.
        schema: From `prediction_schema`.
    """
    order = np.argsort(-output.probabilities, axis=1, kind="stable")
    rows, k, predicted = [], 0, output.predicted
    for position, index in enumerate(batch.rows):
        row: dict[str, Any] = {"file": inputs.name(index), "error": batch.errors.get(position)}
        if position not in batch.errors:
            if not predicted[k]:
                row["error"] = NO_PREDICTION
            else:
                row |= _prediction(output.probabilities[k], order[k], classes, decision_rule, schema)
                if output.outlier_scores is not None:
                    row |= _marked(float(output.outlier_scores[k]))
                if "prior" in schema.names:
                    row["prior"] = decision_rule.prior_text
                if "embedding" in schema.names:
                    row["embedding"] = output.embeddings[k]
            k += 1
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema)


def _prediction(
    probabilities: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
    classes: Sequence[str],
    decision_rule: DecisionRule,
    schema: pa.Schema,
) -> dict[str, Any]:
    unsure = decision_rule.unsure(float(probabilities[order[0]]))
    columns: dict[str, Any] = {"prediction": UNSURE if unsure else classes[order[0]], "unsure": unsure}
    chosen = decision_rule.prediction_set(probabilities, classes)
    if "prediction_set" in schema.names and chosen is not None:
        columns["prediction_set"] = SET_SEPARATOR.join(chosen)
    for rank, k in enumerate(order.tolist(), start=1):
        if f"class_{rank}" in schema.names:
            columns |= {f"class_{rank}": classes[k], f"probability_{rank}": round(float(probabilities[k]), 6)}
    return columns


def _marked(score: float) -> dict[str, Any]:
    """Return the columns of an image's score: one unlike the training images has no class."""
    columns: dict[str, Any] = {UNLIKE: is_unlike(score), "outlier_score": round(score, 6)}
    return columns | (
        {"prediction": UNLIKE, "unsure": True, "prediction_set": None} if columns[UNLIKE] else {}
    )


def write_rows(table: pa.Table, path: Path, form: Format) -> None:
    """Write rows atomically, as CSV with a header, JSON lines or Parquet."""
    with atomic_path(path) as temporary:
        if form == "parquet":
            pq.write_table(table, temporary, compression="zstd")
        elif form == "csv":
            write_arrow(table, temporary)
        else:
            lines = (json.dumps(_without_nulls(row), ensure_ascii=False) + "\n" for row in table.to_pylist())
            temporary.write_text("".join(lines), encoding="utf-8")


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def join_rows(parts: Iterable[Path], path: Path, form: Format, schema: pa.Schema) -> None:
    """Join files written by `write_rows`, holding one at a time in memory."""
    with atomic_path(path) as temporary:
        if form == "parquet":
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for part in parts:
                    writer.write_table(pq.read_table(part))
            return
        with temporary.open("wb") as joined:
            for number, part in enumerate(parts):
                content = part.read_bytes()
                # each part has the header, whose names contain no line break
                joined.write(content.partition(b"\n")[2] if form == "csv" and number else content)
