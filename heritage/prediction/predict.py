"""Answers for many pictures: streamed, in parts that survive a crash, joined into one table.

The same command started again after an interruption goes on where it stood (`heritage.prediction.parts`);
memory does not depend on the number of pictures.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table

from heritage.core.progress import Progress
from heritage.core.types import NonNegativeInt, PositiveInt, Probability
from heritage.data.module import available_cores
from heritage.errors import ConfigError
from heritage.inference.checkpoint import load_checkpoint
from heritage.prediction.images import PictureBatch, PictureDataset, picture_batches
from heritage.prediction.inputs import Inputs, find_inputs
from heritage.prediction.parts import Parts
from heritage.prediction.predictor import BatchPrediction, Device, Predictor, Views, read_decision_rule
from heritage.prediction.table import Format, answer_rows, answer_schema

_FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True)
class PredictOptions:
    """What is asked, of whom, and where the answers go.

    Attributes:
        ckpt: A checkpoint or run folder.
        input: Which pictures (`heritage.prediction.inputs.find_inputs`).
        column: The column with their names, where they stand in a table.
        out: The table: ``.csv``, ``.jsonl`` or ``.parquet``; None makes a CSV named after the input
            below ``folder``.
        folder: Where tables without a name go.
        top_k: How many classes a row names.
        threshold: Answers below it are "unsure"; None is the calibration's.
        embeddings: Whether to add what the network's last layer reads.
        tta: Test-time augmentation.
        batch_size: Pictures a step.
        num_workers: Processes that decode; None is one for each core.
        device: Where to compute.
        overwrite: Whether ``out`` may be replaced.
    """

    ckpt: str
    input: str | list[str]
    column: str
    out: str | None
    folder: str
    top_k: PositiveInt
    threshold: Probability | None
    embeddings: bool
    tta: Views
    batch_size: PositiveInt
    num_workers: NonNegativeInt | None
    device: Device
    overwrite: bool


@dataclass(frozen=True)
class PredictResult:
    """What `predict` did.

    Attributes:
        out: The table.
        form: Its format.
        schema: Its columns.
        pictures: Rows in it.
        resumed: How many of them an earlier start had answered.
        certainty: In words.
    """

    out: Path
    form: Format
    schema: pa.Schema
    pictures: int
    resumed: int
    certainty: str


def predict(wanted: PredictOptions) -> PredictResult:
    """Answer for all pictures and write the table.

    Raises:
        HeritageError: Whatever is wrong with the checkpoint, the list of pictures or the options. A picture
            that cannot be read is no error: its row says why.
    """
    inputs = find_inputs(wanted.input, wanted.column)
    trained = load_checkpoint(wanted.ckpt)
    certainty = read_decision_rule(trained.folder).with_threshold(wanted.threshold)
    answerer = Predictor(trained, certainty, device=wanted.device, tta=wanted.tta)
    width = _embedding_width(answerer) if wanted.embeddings else None
    schema = answer_schema(min(wanted.top_k, len(trained.classes)), width)
    digest = _digest(wanted, trained.file, str(certainty), inputs)
    out, form = _place(wanted, inputs, digest)
    if wanted.out is None and out.is_file() and not wanted.overwrite:
        return PredictResult(out, form, schema, len(inputs), len(inputs), str(certainty))
    parts = Parts.open(out, form, schema, digest)
    resumed = parts.done
    dataset = PictureDataset(
        inputs, size=trained.image_size, crop_pct=trained.crop_pct, interpolation=trained.interpolation
    )
    batches = picture_batches(
        dataset,
        start=resumed,
        batch_size=wanted.batch_size,
        num_workers=available_cores() if wanted.num_workers is None else wanted.num_workers,
        pin_memory=answerer.device.type == "cuda",
    )
    with Progress("predicting", len(inputs), done=resumed) as progress:
        parts.write(_answers(answerer, batches, inputs, schema, progress))
    parts.join()
    return PredictResult(out, form, schema, len(inputs), resumed, str(certainty))


def _answers(
    answerer: Predictor,
    batches: Iterator[PictureBatch],
    inputs: Inputs,
    schema: pa.Schema,
    progress: Progress,
) -> Iterator[pa.Table]:
    for batch in batches:
        answer = answerer.ask(batch.images) if len(batch.images) else _silence(answerer)
        yield answer_rows(inputs, batch, answer, answerer.classes, answerer.certainty, schema)
        progress.advance(len(batch.rows))


def _silence(answerer: Predictor) -> BatchPrediction:
    """Return the answer for no pictures: not every network can be asked about none."""
    return BatchPrediction(np.empty((0, len(answerer.classes))), np.empty((0, 0), dtype=np.float32))


def _embedding_width(answerer: Predictor) -> int:
    size = answerer.trained.image_size
    blank = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    return int(answerer.ask(blank).embeddings.shape[1])


def _digest(wanted: PredictOptions, checkpoint: Path, certainty: str, inputs: Inputs) -> str:
    with checkpoint.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    options: dict[str, Any] = {
        name: getattr(wanted, name) for name in ("top_k", "threshold", "embeddings", "tta")
    }
    said = json.dumps([weights, certainty, options, inputs.digest()])
    return hashlib.sha256(said.encode()).hexdigest()


def _place(wanted: PredictOptions, inputs: Inputs, digest: str) -> tuple[Path, Format]:
    if wanted.out is None:
        named = wanted.input if isinstance(wanted.input, str) else "pictures"
        stem = Path(named).expanduser().resolve().stem
        stem = "pictures" if any(sign in stem for sign in "*?[") else stem
        # the name tells the job, so a repeated command finds what it has already done
        out = Path(wanted.folder) / f"{stem}-{digest[:8]}.csv"
    else:
        out = Path(wanted.out).expanduser()
    form = _FORMATS.get(out.suffix.lower())
    if form is None:
        raise ConfigError(
            f"no format for '{out.suffix or out.name}'",
            where=f"out={wanted.out}",
            remedy=f"end it in {', '.join(_FORMATS)}",
        )
    if wanted.embeddings and form == "csv":
        raise ConfigError(
            "a CSV has no place for embeddings",
            where=f"out={wanted.out}",
            remedy="give out=….parquet or out=….jsonl",
        )
    if out.is_dir() or (wanted.out is not None and out.exists() and not wanted.overwrite):
        raise ConfigError(
            "already exists", where=f"out={out}", remedy="choose another name, or overwrite=true"
        )
    return out, form


_FEW = 20
_LINES = 1024  # of JSON at a time: embeddings make them long
_COLUMNS = ["file", "answer", "error"]


def show(found: PredictResult, console: Console) -> None:
    """Print the answers, or how many pictures got which, and where the table is."""
    if found.pictures <= _FEW:
        console.print(_table(found))
    counts: Counter[str] = Counter()
    for batch in _batches(found):
        columns = batch.select([name for name in _COLUMNS if name in batch.schema.names]).to_pylist()
        counts.update("unreadable" if row.get("error") else str(row["answer"]) for row in columns)
    said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    resumed = f", {found.resumed:,} of them answered before" if found.resumed else ""
    console.print(f"{found.pictures:,} pictures{resumed}: {said}", highlight=False, soft_wrap=True)
    console.print(f"probabilities: {found.certainty}", highlight=False, soft_wrap=True)
    console.print(f"answers: {found.out}", highlight=False, soft_wrap=True, markup=False)


def _table(found: PredictResult) -> Table:
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


def _batches(found: PredictResult) -> Iterator[pa.RecordBatch]:
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
