"""Any number of images to batches of network inputs, decoded ahead in threads, with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from heritage.core.image_io import Pixels
from heritage.data.module import available_cores
from heritage.errors import ImageError
from heritage.prediction.html import thumbnail
from heritage.prediction.image_input import ImageInput, image_name, load_pixels

Prepare = Callable[[Pixels], Pixels]
"""RGB pixels (H, W, 3) to the network's input (S, S, 3)."""

SHOWN = 24
"""Images of a list that notebooks show: only these keep a thumbnail if they are in memory."""


class PreparedImage(NamedTuple):
    """A network input, or the reason why there is none."""

    name: str | None
    """The file name, if the image is a file."""
    pixels: Pixels | None
    """Shape (S, S, 3); None for an image that cannot be read."""
    error: str | None
    """Why it cannot be read."""
    source: Path | bytes | None
    """The file, or a small JPEG of an image in memory."""


def prepare_image(image: ImageInput, prepare: Prepare, *, at_least: int, shown: bool = True) -> PreparedImage:
    """Read an image and resize it for the network.

    Args:
        image: The image.
        prepare: Resizes it.
        at_least: A JPEG may be decoded at reduced size as long as no side is shorter than this.
        shown: Whether to keep a thumbnail of an image in memory.

    Raises:
        ImageError: It cannot be read.
        ArgumentError: It is not an image.
    """
    pixels = load_pixels(image, at_least=at_least)
    source: Path | bytes | None = None
    if isinstance(image, (str, os.PathLike)):
        source = Path(image)
    elif shown:
        source = thumbnail(pixels)
    return PreparedImage(image_name(image), prepare(pixels), None, source)


def prepared_batches(
    images: Iterable[ImageInput], prepare: Prepare, *, at_least: int, batch_size: int
) -> Iterator[list[PreparedImage]]:
    """Yield batches in order; the next one is decoded while a batch is in use.

    At most two batches of images are held. Files are decoded in threads. Images in memory are converted as
    soon as the iterable yields them, since its owner may change or close them afterwards.

    Args:
        images: The images. Those that cannot be read have `PreparedImage.error` set.
        prepare: Resizes an image.
        at_least: As for `prepare_image`.
        batch_size: Images per batch.

    Raises:
        ArgumentError: One of the values is not an image.
    """

    def one(image: ImageInput, shown: bool) -> PreparedImage:
        try:
            return prepare_image(image, prepare, at_least=at_least, shown=shown)
        except ImageError as error:
            return PreparedImage(image_name(image), None, error.what, None)

    with ThreadPoolExecutor(available_cores(), thread_name_prefix="decode") as pool:

        def started() -> Iterator[Future[PreparedImage]]:
            for number, image in enumerate(images):
                if isinstance(image, (str, os.PathLike, bytes)):
                    yield pool.submit(one, image, number < SHOWN)
                else:
                    finished: Future[PreparedImage] = Future()
                    finished.set_result(one(image, number < SHOWN))
                    yield finished

        futures = started()
        waiting: deque[list[Future[PreparedImage]]] = deque()
        while batch := list(islice(futures, batch_size)):
            waiting.append(batch)
            if len(waiting) > 1:
                yield [future.result() for future in waiting.popleft()]
        if waiting:
            yield [future.result() for future in waiting.popleft()]
