"""`heritage predict`: images to a table of predictions, streamed and resumable.

The same command started again after an interruption continues after the last row that was written
(`heritage.prediction.resumable_table`). Memory does not depend on the number of images.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.table import Table

from heritage.core.console import Console
from heritage.core.csv_files import read_head, restored
from heritage.core.locks import locked_output
from heritage.core.numbers import counted, percent
from heritage.core.progress import Progress
from heritage.core.types import Coverage, NonNegativeInt, PositiveInt, Probability
from heritage.data.module import available_cores
from heritage.errors import ConfigError
from heritage.inference.ensemble import load_members, members_digest
from heritage.metrics.finite import NO_PREDICTION
from heritage.models.views import Views
from heritage.prediction.images import ImageBatch, InputDataset, image_batches
from heritage.prediction.inputs import Inputs, find_inputs
from heritage.prediction.predictor import Predictor
from heritage.prediction.read_rule import read_outlier_rule, read_rule
from heritage.prediction.resumable_table import ResumableTable, parts_of
from heritage.prediction.table import Format, prediction_rows, prediction_schema
from heritage.training.devices import choose_device

_FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True)
class PredictOptions:
    """Options of `predict`.

    Attributes:
        ckpt: A run folder or checkpoint, or a list of them, whose probabilities are averaged.
        trusted: Functions or classes of the user's own that the checkpoint may name.
        input: The images (`heritage.prediction.inputs.find_inputs`).
        column: The column of file names, if ``input`` is a table.
        out: The table to write: ``.csv``, ``.jsonl`` or ``.parquet``; None writes a CSV named after the input
            into ``folder``.
        folder: The folder of tables that ``out`` does not name.
        top_k: Number of classes in a row.
        threshold: Predictions with a confidence below it are "unsure"; None takes the fitted threshold.
        coverage: Promised coverage of prediction sets, which become a column; None adds none.
        coverage_by_class: Whether the coverage is promised for each class.
        prior: The class frequencies of the images: ``uniform`` or shares by class; None: those of validation.
        embeddings: Whether to add the input of the network's last layer.
        tta: Test-time augmentation.
        batch_size: Images per step.
        num_workers: Processes that decode; None is one per core.
        device: Where to compute.
        overwrite: Whether ``out`` may be replaced.
        outliers: Whether images unlike the training images are marked, if their score was fitted.
    """

    ckpt: str | list[str]
    trusted: list[str]
    input: str | list[str]
    column: str
    out: str | None
    folder: str
    top_k: PositiveInt
    threshold: Probability | None
    coverage: Coverage | None
    coverage_by_class: bool
    prior: str | dict[str, Any] | None
    embeddings: bool
    tta: Views
    batch_size: PositiveInt
    num_workers: NonNegativeInt | None
    device: str
    overwrite: bool
    outliers: bool = True


@dataclass(frozen=True)
class PredictResult:
    """The result of `predict`.

    Attributes:
        out: The table.
        form: Its format.
        schema: Its columns.
        images: Its number of rows.
        resumed: How many of them an earlier start of the same command had written.
        decision_rule: Calibration and threshold, as text.
        notes: What users of the predictions need to know.
    """

    out: Path
    form: Format
    schema: pa.Schema = field(repr=False)
    images: int
    resumed: int
    decision_rule: str
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the table."""
        return self.out.parent


def predict(options: PredictOptions) -> PredictResult:
    """Predict the class of all images and write the table.

    Raises:
        HeritageError: The checkpoint, the list of images or the options are faulty. An image that cannot be
            read is no error: its row holds the reason.
    """
    device = choose_device(options.device)
    inputs = find_inputs(options.input, options.column)
    members = load_members(options.ckpt, options.trusted)
    trained, *others = members
    decision_rule = (
        read_rule(members, options.tta, options.prior)
        .with_threshold(options.threshold)
        .with_sets(options.coverage, trained.classes, by_class=options.coverage_by_class, tta=options.tta)
    )
    outliers = read_outlier_rule(members, options.tta, wanted=options.outliers)
    predictor = Predictor(
        trained, decision_rule, device=device, tta=options.tta, others=others, outliers=outliers
    )
    width = predictor.embedding_width() if options.embeddings else None
    top_k = min(options.top_k, len(trained.classes))
    schema = prediction_schema(
        top_k,
        width,
        prior=decision_rule.prior is not None,
        sets=decision_rule.sets is not None,
        outliers=outliers is not None,
    )
    digests = _digests(options, predictor, inputs)
    out, form = _output(options, digests)
    with locked_output(out):
        _refuse_existing(out, options)
        if options.out is None and out.is_file() and not options.overwrite:
            _require_columns(out, schema)
            resumed = len(inputs)
        else:
            table = ResumableTable.open(out, form, schema, digests, overwrite=options.overwrite)
            resumed = table.done
            _fill(table, predictor, inputs, options)
    return PredictResult(out, form, schema, len(inputs), resumed, str(decision_rule), predictor.notes)


def _fill(
    table: ResumableTable,
    predictor: Predictor,
    inputs: Inputs,
    options: PredictOptions,
) -> None:
    """Predict the images that the table does not have yet, and finish it."""
    dataset = InputDataset(inputs, predictor.inputs)
    batches = image_batches(
        dataset,
        start=table.done,
        batch_size=options.batch_size,
        num_workers=available_cores() if options.num_workers is None else options.num_workers,
        pin_memory=predictor.device.type == "cuda",
    )
    with Progress("predicting", len(inputs), done=table.done) as progress:
        table.write(_rows(predictor, batches, inputs, table.schema, progress))
    table.finish()


def _rows(
    predictor: Predictor,
    batches: Iterator[ImageBatch],
    inputs: Inputs,
    schema: pa.Schema,
    progress: Progress,
) -> Iterator[pa.Table]:
    for batch in batches:
        output = predictor.predict_batch(batch.images)
        yield prediction_rows(inputs, batch, output, predictor.classes, predictor.decision_rule, schema)
        progress.advance(len(batch.rows))


def _digests(options: PredictOptions, predictor: Predictor, inputs: Inputs) -> tuple[str, str]:
    """Return digests of everything that determines the rows: this version's, and that of version 0.1."""
    members, decision_rule = predictor.networks, predictor.decision_rule
    if not (weights := members_digest(members)):
        with members[0].file.open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
    chosen = {name: getattr(options, name) for name in ("top_k", "threshold", "embeddings", "tta")}
    if options.tta != "none":  # version 0.1 applied the temperature before it averaged the views
        chosen["tta"] = f"{options.tta}, then temperature"
    if decision_rule.sets is not None:
        chosen["prediction_sets"] = decision_rule.sets.thresholds
    if predictor.outliers is not None:
        chosen["outliers"] = [predictor.outliers.score.method, predictor.outliers.threshold]
    current, earlier = (
        hashlib.sha256(json.dumps([weights, decision_rule.identity, chosen, images]).encode()).hexdigest()
        for images in inputs.digests()
    )
    return current, earlier


def _output(options: PredictOptions, digests: tuple[str, str]) -> tuple[Path, Format]:
    """Return the table to write and its format."""
    if options.out is None:
        name = options.input if isinstance(options.input, str) else "pictures"
        stem = Path(name).expanduser().resolve().stem
        stem = "pictures" if any(sign in stem for sign in "*?[") else stem
        # named after the job, so that a repeated command finds its own table
        out, earlier = (Path(options.folder) / f"{stem}-{digest[:8]}.csv" for digest in digests)
        if earlier.exists() or parts_of(earlier).exists():
            out = earlier
    else:
        out = Path(options.out).expanduser()
    form = _FORMATS.get(out.suffix.lower())
    if form is None:
        raise ConfigError(
            f"no format for '{out.suffix or out.name}'",
            where=f"out={options.out}",
            remedy=f"end it in {', '.join(_FORMATS)}",
        )
    if options.embeddings and form == "csv":
        raise ConfigError(
            "a CSV file cannot hold embeddings",
            where=f"out={options.out}",
            remedy="give out=….parquet or out=….jsonl",
        )
    return out, form


def _refuse_existing(out: Path, options: PredictOptions) -> None:
    if out.is_dir() or (options.out is not None and out.exists() and not options.overwrite):
        raise ConfigError(
            "already exists", where=f"out={out}", remedy="choose another name, or overwrite=true"
        )


def _require_columns(path: Path, schema: pa.Schema) -> None:
    """Refuse a finished table of version 0.1, whose columns were named differently."""
    columns = read_head(path)
    if columns != schema.names:
        raise ConfigError(
            "written by an earlier version, with other columns",
            where=path,
            remedy="overwrite=true predicts again, out=… writes another table",
        )


_FEW = 20
_LINES = 1024  # of JSON at a time: embeddings make them long
_COLUMNS = ["file", "prediction", "error"]


def show(result: PredictResult, console: Console) -> None:
    """Print the predictions if they are few, their number by class, and the path of the table."""
    if result.images <= _FEW:
        console.print(_console_table(result))
    counts: Counter[str] = Counter()
    for batch in _read_batches(result):
        columns = batch.select([name for name in _COLUMNS if name in batch.schema.names]).to_pylist()
        counts.update(_outcome(row) for row in columns)
    summary = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    resumed = f", {result.resumed:,} of them predicted before" if result.resumed else ""
    console.print(f"{counted(result.images, 'image')}{resumed}: {summary}", highlight=False, soft_wrap=True)
    console.print(f"probabilities: {result.decision_rule}", highlight=False, soft_wrap=True)
    for note in result.notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"predictions: {result.out}", highlight=False, soft_wrap=True, markup=False)


def _outcome(row: Mapping[str, Any]) -> str:
    if not row.get("error"):
        return str(row["prediction"])
    return "no prediction" if row["error"] == NO_PREDICTION else "unreadable"


def _console_table(result: PredictResult) -> Table:
    table = Table(title="Predictions", title_justify="left")
    sets = "prediction_set" in result.schema.names
    for name in ("image", "prediction", "probability", "other classes", *["prediction set"] * sets):
        table.add_column(name, justify="right" if name == "probability" else "left", overflow="fold")
    for batch in _read_batches(result):
        for row in batch.to_pylist():
            if row.get("error"):
                table.add_row(row["file"], "", "", row["error"], *[""] * sets)
                continue
            others = [
                f"{row[f'class_{k}']} {percent(row[f'probability_{k}'])}"
                for k in range(2, len(row))
                if row.get(f"class_{k}")
            ]
            cells = [row["file"], row["prediction"], percent(row["probability_1"]), ", ".join(others)]
            table.add_row(*cells, *[row.get("prediction_set") or "none"] * sets)
    return table


def _read_batches(result: PredictResult) -> Iterator[pa.RecordBatch]:
    """Read the table, some rows at a time."""
    if result.form == "parquet":
        with pq.ParquetFile(result.out) as file:
            yield from file.iter_batches(batch_size=4096)
    elif result.form == "csv":
        kinds = {name: result.schema.field(name).type for name in result.schema.names}
        convert = pa_csv.ConvertOptions(column_types=kinds, strings_can_be_null=True, null_values=[""])
        with pa_csv.open_csv(
            result.out, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=convert
        ) as reader:
            for batch in reader:
                yield from restored(pa.Table.from_batches([batch])).to_batches()
    else:
        with result.out.open(encoding="utf-8") as lines:
            while rows := [json.loads(line) for line in itertools.islice(lines, _LINES)]:
                yield pa.RecordBatch.from_pylist(rows, schema=result.schema)
