"""Write the demo data set: its objects and views, their labels, and the files on disk."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heritage.core.csv_files import csv_text
from heritage.core.image_io import encode_jpeg
from heritage.core.processes import available_cores, map_in_processes
from heritage.core.taxonomy import CLASSES
from heritage.demo.drawing.artefact import DEMO_VERSION, draw_artefact
from heritage.demo.drawing.catalogue import kind_of
from heritage.demo.drawing.rng import choose, generator
from heritage.errors import ConfigError, DataError

THESIS_COUNTS: dict[str, int] = {
    "egyptian": 44_075,
    "grecoroman": 51_696,
    "orient": 67_983,
    "islam": 18_417,
    "byzantium": 8_130,
    "asian": 33_185,
}
"""Images per class in the thesis's collection; the demo set has the same proportions."""

MIN_IMAGES = 2 * len(CLASSES)
"""The smallest set: one object with two views per class."""

_DEMO_SET = re.compile(r"\.?v\d+-\d+x\d+-seed\d+")
_MIN_OBJECTS = 28  # a test split of a tenth still has three
_COLUMNS = (
    "filename", "class", "museum", "object_id", "view", "object_name", "title", "culture", "period",
    "begin_year", "end_year", "credit",
)  # fmt: skip
_CREDITS = ("Purchase, Seed Fund", "Gift of the draughtsman", "Bequest of an anonymous generator", "Exchange")
_ABANDONED_S = 3600.0
_WORTH_A_PROCESS = 200  # photographs; starting a process takes as long as drawing about so many


@dataclass(frozen=True, slots=True)
class DemoRecord:
    """One photograph of the demo set.

    Attributes:
        class_name: One of the six civilisations.
        object_index: Index of the object in its class.
        view: Index of the photograph of the object.
        object_id: The object's id in the demo museum, unique over the classes.
        file: File name by the convention ``CLASSID_DEMO_UNIQUEID.jpg``.
        object_name: Kind of object.
        title: Title.
        culture: Culture.
        period: Period in words.
        begin_year: First possible year of making, negative before the common era.
        end_year: Last possible year of making.
        credit: Credit line.
    """

    class_name: str
    object_index: int
    view: int
    object_id: int
    file: str
    object_name: str
    title: str
    culture: str
    period: str
    begin_year: int
    end_year: int
    credit: str

    def row(self) -> tuple[str | int, ...]:
        """Return the row of ``metadata.csv``."""
        return (
            self.file, self.class_name, "DEMO", self.object_id, self.view, self.object_name, self.title,
            self.culture, self.period, self.begin_year, self.end_year, self.credit,
        )  # fmt: skip


def class_counts(images: int) -> dict[str, int]:
    """Return images per class in the thesis's proportions (largest remainder), with a minimum per class.

    Raises:
        ConfigError: Fewer images than two per class.
    """
    if images < MIN_IMAGES:
        raise ConfigError("too few images", where=f"images={images}", remedy=f"give at least {MIN_IMAGES}")
    least = min(12, images // len(CLASSES))
    total = sum(THESIS_COUNTS.values())
    above = {name: max(images * count / total - least, 0.0) for name, count in THESIS_COUNTS.items()}
    scale = (images - least * len(CLASSES)) / max(sum(above.values()), 1e-9)
    counts = {name: least + int(excess * scale) for name, excess in above.items()}
    left = sorted(above, key=lambda name: (-(above[name] * scale % 1), name))[: images - sum(counts.values())]
    return {name: count + (name in left) for name, count in counts.items()}


def demo_records(*, images: int, seed: int) -> list[DemoRecord]:
    """List the photographs of a demo set.

    Objects have two to four views, three on average; small classes have two per object, so that a split has
    more objects.

    Args:
        images: Number of photographs.
        seed: Seed of objects and labels.

    Raises:
        ConfigError: Too few images.
    """
    records = []
    for class_name, count in class_counts(images).items():
        objects = max(round(count / 3), min(count // 2, _MIN_OBJECTS))
        extra = generator(seed, class_name, 0, 1).permutation(np.repeat(np.arange(objects), 2))
        views = 2 + np.bincount(extra[: count - 2 * objects], minlength=objects)
        for index, number in enumerate(views.tolist()):
            records += _object_records(class_name, index, number, seed)
    return records


def _object_records(class_name: str, index: int, views: int, seed: int) -> list[DemoRecord]:
    kind = kind_of(class_name, index, seed)
    label_rng = generator(seed, class_name, index + 1, 1)
    period, first, last = choose(label_rng, *kind.origin.periods)
    begin = int(label_rng.integers(first, max(first + 1, last - 20)))
    end = min(begin + int(label_rng.integers(10, 80)), last)
    class_id = CLASSES.index(class_name) + 1
    # 7919 and a million are coprime: ids look random and do not collide.
    object_id = class_id * 10_000_000 + (10_234 + index * 7919) % 1_000_000
    title = choose(label_rng, *kind.titles)
    credit = f"The built-in demo museum. {choose(label_rng, *_CREDITS)}, {label_rng.integers(1890, 1985)}"
    return [
        DemoRecord(
            class_name, index, view, object_id, f"{class_id}_DEMO_{object_id * 10 + view}.jpg", kind.name,
            title, kind.origin.culture, period, begin, end, credit,
        )
        for view in range(views)
    ]  # fmt: skip


def demo_folder(root: Path, *, images: int, size: int, seed: int) -> Path:
    """Return the folder of a demo set: each version and setting has a folder below ``root``."""
    return root / f"v{DEMO_VERSION}-{images}x{size}-seed{seed}"


def only_demo_sets(root: Path) -> bool:
    """Return whether a folder has nothing but demo sets, or does not exist."""
    return not root.is_dir() or all(_DEMO_SET.match(path.name) for path in root.iterdir())


def write_demo_dataset(
    root: Path, *, images: int, size: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Draw a demo set, unless it exists already.

    The set is drawn in a temporary folder beside ``root`` and then renamed, so that ``root`` is complete if
    it exists. Several processes may draw the same set at once: the first to finish wins.

    Args:
        root: The set's folder: ``images/``, ``metadata.csv`` and, written last, ``demo.json``.
        images: Number of photographs.
        size: Side length in pixels.
        seed: Seed of objects and images.
        progress: Called with (images drawn, all images) after each image.

    Returns:
        ``root``.

    Raises:
        ConfigError: Too few images, or an invalid size.
        DataError: ``root`` has other files, or cannot be written.
    """
    identity = {"version": DEMO_VERSION, "images": images, "size": size, "seed": seed}
    if _is_complete(root, identity):
        return root
    _require_demo_set(root)
    records = demo_records(images=images, seed=seed)
    try:
        with _temporary_folder(root) as folder:
            _draw(records, folder, identity, progress)
            _move_into_place(folder, root, identity)
    except OSError as error:
        raise DataError(
            f"the demo set cannot be written ({error.strerror})", where=root, remedy="choose another folder"
        ) from error
    return root


def _draw(
    records: Sequence[DemoRecord],
    folder: Path,
    identity: dict[str, int],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Draw a set into a folder; ``demo.json`` is written last."""
    (folder / "images").mkdir()
    draw = functools.partial(_draw_record, folder / "images", identity["size"], identity["seed"])
    workers = min(available_cores(), len(records) // _WORTH_A_PROCESS)
    for done, _ in enumerate(map_in_processes(draw, records, workers), start=1):
        if progress is not None:
            progress(done, len(records))
    text = csv_text(_COLUMNS, (record.row() for record in records))
    (folder / "metadata.csv").write_text(text, encoding="utf-8")
    (folder / "demo.json").write_text(json.dumps(identity), encoding="utf-8")


def _draw_record(images: Path, size: int, seed: int, record: DemoRecord) -> None:
    """Draw and write one photograph; it depends on nothing but its arguments."""
    pixels = draw_artefact(record.class_name, record.object_index, record.view, size=size, seed=seed)
    (images / record.file).write_bytes(encode_jpeg(pixels, quality=92))


def _is_complete(root: Path, identity: dict[str, int]) -> bool:
    """Return whether a folder has exactly this set, complete."""
    try:
        written = json.loads((root / "demo.json").read_text(encoding="utf-8"))
        pictures = sum(1 for _ in (root / "images").iterdir())
    except (OSError, ValueError):
        return False
    return bool(written == identity and pictures == identity["images"] and (root / "metadata.csv").is_file())


def _require_demo_set(root: Path) -> None:
    """Raise an error if a folder has files other than a demo set."""
    empty = root.is_dir() and not any(root.iterdir())
    if root.exists() and not empty and not (root / "demo.json").is_file():
        raise DataError(
            "the folder has files other than a demo set",
            where=root,
            remedy="move them, or choose another folder",
        )


@contextlib.contextmanager
def _temporary_folder(root: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``root``, after removing old ones of killed processes."""
    root.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{root.name}.drawing-"
    for leftover in root.parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            modified = max(path.stat().st_mtime for path in (leftover, leftover / "images"))
            if time.time() - modified > _ABANDONED_S:
                shutil.rmtree(leftover)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root.parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(folder: Path, root: Path, identity: dict[str, int]) -> None:
    """Rename a complete set to ``root``, unless another process has written the same one meanwhile."""
    for _ in range(5):
        with contextlib.suppress(OSError):
            folder.rename(root)
            return
        if _is_complete(root, identity):
            return
        _require_demo_set(root)
        # Replace a set of another version or with other settings, or a damaged one.
        aside = Path(tempfile.mkdtemp(prefix=f".{root.name}.drawing-", dir=root.parent))
        with contextlib.suppress(OSError):
            root.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    raise DataError(
        "the demo set cannot be replaced", where=root, remedy="remove it, or choose another folder"
    )
