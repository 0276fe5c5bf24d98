"""The demo set on disk: how many objects and views, what the labels say, and files that appear whole."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heritage.core.image_io import encode_jpeg
from heritage.core.taxonomy import CLASSES
from heritage.demo.drawing.artefact import DEMO_VERSION, draw_artefact
from heritage.demo.drawing.catalogue import kind_of
from heritage.demo.drawing.chance import numbers, one_of
from heritage.errors import ConfigError, DataError

THESIS_COUNTS: dict[str, int] = {
    "egyptian": 44_075,
    "grecoroman": 51_696,
    "orient": 67_983,
    "islam": 18_417,
    "byzantium": 8_130,
    "asian": 33_185,
}
"""Images a class in the thesis's collection; the demo set keeps their proportions."""

FEWEST = 2 * len(CLASSES)
"""The smallest set: one object of two views for each class."""

_ENOUGH_OBJECTS = 28  # a tenth of them is still three
_COLUMNS = (
    "filename", "class", "museum", "object_id", "view", "object_name", "title", "culture", "period",
    "begin_year", "end_year", "credit",
)  # fmt: skip
_CREDITS = ("Purchase, Seed Fund", "Gift of the draughtsman", "Bequest of an anonymous generator", "Exchange")
_ABANDONED_S = 3600.0


@dataclass(frozen=True, slots=True)
class DemoRecord:
    """One photograph of the demo set.

    Attributes:
        class_name: One of the six civilisations.
        object_index: Which of the class's objects.
        view: Which photograph of it.
        object_id: The object's id in the demo museum, unique over the classes.
        file: File name by the convention ``CLASSID_DEMO_UNIQUEID.jpg``.
        object_name: Kind of object.
        title: Its title.
        culture: The people or the place that made it.
        period: When, in words.
        begin_year: Earliest year, negative before the common era.
        end_year: Latest year.
        credit: How it came to the museum.
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
        """Its line of ``metadata.csv``."""
        return (
            self.file, self.class_name, "DEMO", self.object_id, self.view, self.object_name, self.title,
            self.culture, self.period, self.begin_year, self.end_year, self.credit,
        )  # fmt: skip


def class_counts(images: int) -> dict[str, int]:
    """Share out images in the thesis's proportions, by largest remainder, with a floor for the rarest.

    Raises:
        ConfigError: Fewer images than two for each class.
    """
    if images < FEWEST:
        raise ConfigError("too few images", where=f"images={images}", remedy=f"give at least {FEWEST}")
    least = min(12, images // len(CLASSES))
    total = sum(THESIS_COUNTS.values())
    above = {name: max(images * count / total - least, 0.0) for name, count in THESIS_COUNTS.items()}
    scale = (images - least * len(CLASSES)) / max(sum(above.values()), 1e-9)
    counts = {name: least + int(share * scale) for name, share in above.items()}
    left = sorted(above, key=lambda name: (-(above[name] * scale % 1), name))[: images - sum(counts.values())]
    return {name: count + (name in left) for name, count in counts.items()}


def demo_records(*, images: int, seed: int) -> list[DemoRecord]:
    """List the photographs of a demo set.

    Objects have two to four views, about three; a class too small for that has twos, so that more
    objects can be shared out by a split.

    Raises:
        ConfigError: Too few images.
    """
    records = []
    for class_name, count in class_counts(images).items():
        objects = max(round(count / 3), min(count // 2, _ENOUGH_OBJECTS))
        spare = numbers(seed, class_name, 0, 1).permutation(np.repeat(np.arange(objects), 2))
        views = 2 + np.bincount(spare[: count - 2 * objects], minlength=objects)
        for index, several in enumerate(views.tolist()):
            records += _object_records(class_name, index, several, seed)
    return records


def _object_records(class_name: str, index: int, views: int, seed: int) -> list[DemoRecord]:
    kind = kind_of(class_name, index, seed)
    label = numbers(seed, class_name, index + 1, 1)
    period, first, last = one_of(label, *kind.origin.periods)
    begin = int(label.integers(first, max(first + 1, last - 20)))
    end = min(begin + int(label.integers(10, 80)), last)
    class_id = CLASSES.index(class_name) + 1
    # 7919 has no factor in common with a million, so that ids look scattered and never meet.
    object_id = class_id * 10_000_000 + (10_234 + index * 7919) % 1_000_000
    title = one_of(label, *kind.titles)
    credit = f"The built-in demo museum. {one_of(label, *_CREDITS)}, {label.integers(1890, 1985)}"
    return [
        DemoRecord(
            class_name, index, view, object_id, f"{class_id}_DEMO_{object_id * 10 + view}.jpg", kind.name,
            title, kind.origin.culture, period, begin, end, credit,
        )
        for view in range(views)
    ]  # fmt: skip


def write_demo_dataset(
    root: Path, *, images: int, size: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Draw a demo set, or find it drawn.

    The set is built in a folder beside ``root`` and then renamed, so that ``root`` is whole whenever it
    exists. Processes that draw the same set at once do not disturb each other: the first to finish wins.

    Args:
        root: The set's folder: ``images/``, ``metadata.csv`` and, written last, ``demo.json``.
        images: How many photographs.
        size: Pixels a side.
        seed: Other seeds draw other artefacts.
        progress: Told (images done, images in all) after each.

    Returns:
        ``root``.

    Raises:
        ConfigError: Too few images, or a size that cannot be drawn.
        DataError: ``root`` holds something that is not a demo set, or cannot be written.
    """
    identity = {"version": DEMO_VERSION, "images": images, "size": size, "seed": seed}
    if _whole(root, identity):
        return root
    _require_ours(root)
    records = demo_records(images=images, seed=seed)
    try:
        with _beside(root) as folder:
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
    """Fill a folder; ``demo.json`` comes last."""
    (folder / "images").mkdir()
    size, seed = identity["size"], identity["seed"]
    for done, record in enumerate(records, start=1):
        pixels = draw_artefact(record.class_name, record.object_index, record.view, size=size, seed=seed)
        (folder / "images" / record.file).write_bytes(encode_jpeg(pixels, quality=92))
        if progress is not None:
            progress(done, len(records))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        table.writerows(record.row() for record in records)
    (folder / "demo.json").write_text(json.dumps(identity), encoding="utf-8")


def _whole(root: Path, identity: dict[str, int]) -> bool:
    """Whether the folder holds just this set, complete."""
    try:
        written = json.loads((root / "demo.json").read_text(encoding="utf-8"))
        pictures = sum(1 for _ in (root / "images").iterdir())
    except (OSError, ValueError):
        return False
    return bool(written == identity and pictures == identity["images"] and (root / "metadata.csv").is_file())


def _require_ours(root: Path) -> None:
    """Refuse to replace what this program did not draw."""
    empty = root.is_dir() and not any(root.iterdir())
    if root.exists() and not empty and not (root / "demo.json").is_file():
        raise DataError(
            "something other than a demo set is here",
            where=root,
            remedy="move it away, or choose another folder",
        )


@contextlib.contextmanager
def _beside(root: Path) -> Iterator[Path]:
    """A temporary folder beside ``root``; what killed processes left there long ago is cleared away."""
    root.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{root.name}.drawing-"
    for left in root.parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            touched = max(path.stat().st_mtime for path in (left, left / "images"))
            if time.time() - touched > _ABANDONED_S:
                shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root.parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(folder: Path, root: Path, identity: dict[str, int]) -> None:
    """Rename the finished set to ``root``, unless another process has just put the same one there."""
    for _ in range(5):
        with contextlib.suppress(OSError):
            folder.rename(root)
            return
        if _whole(root, identity):
            return
        _require_ours(root)
        # A set of another version or setting, or a damaged one, makes way.
        aside = Path(tempfile.mkdtemp(prefix=f".{root.name}.drawing-", dir=root.parent))
        with contextlib.suppress(OSError):
            root.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    raise DataError("it cannot be replaced", where=root, remedy="remove it, or choose another folder")
