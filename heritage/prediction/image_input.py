"""Images as Python programs hold them, converted to RGB pixels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import Pixels, decode, from_pillow
from heritage.core.notebook import shortened
from heritage.errors import ArgumentError, ImageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

ImageInput: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | npt.NDArray[np.uint8]
    | Tensor
)
"""A path; an encoded file as bytes or as an open binary file, read from its beginning; a Pillow image; a
uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); or a uint8 tensor of shape (H, W) or (C, H, W)
with C of 1, 3 or 4, as torchvision decodes."""

_CHANNELS = (1, 3, 4)
_URL = re.compile(r"data:|[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_LONGEST = 200  # characters of a path in a message


def is_image(value: object) -> TypeIs[ImageInput]:
    """Return whether a value is a single image, rather than an iterable of images."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, Tensor)
    return isinstance(value, kinds) or _is_file(value)


def in_memory(image: ImageInput) -> ImageInput:
    """Return the content of an open file, so that it can be read again; any other image as it is.

    Raises:
        ImageError: It cannot be read, or is opened as text.
    """
    return _content(cast("IO[bytes]", image)) if _is_file(image) else image


def image_name(image: ImageInput) -> str | None:
    r"""Return the file name of an image; None for an image that was not read from a file.

    Bytes of the name that are not UTF-8 are written as ``\xe9``.
    """
    path: object = image
    if isinstance(image, Image.Image):
        path = getattr(image, "filename", None)
    elif _is_file(image):
        path = getattr(image, "name", None)
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        return None
    return os.fsencode(Path(path).name).decode("utf-8", "backslashreplace")


def load_pixels(image: ImageInput, *, at_least: int | None = None) -> Pixels:
    """Return the RGB pixels (H, W, 3) of an image.

    Paths, bytes and open files are decoded as `heritage predict` decodes files: EXIF orientation and colour
    profile are applied, transparent parts are put on white. Pillow images, grey and RGBA arrays are converted
    by the same rules.

    Args:
        image: The image.
        at_least: A JPEG may be decoded at reduced size as long as no side is shorter than this.

    Raises:
        ImageError: The file cannot be read, or the array has another shape or type.
        ArgumentError: The value is not an image.
    """
    if isinstance(image, str) and not image:
        raise ImageError("an empty path", where="image=''", remedy="give the path of an image")
    if isinstance(image, (str, os.PathLike)):
        return decode(read_file(Path(image)), name=image, at_least=at_least)
    if _is_file(image):
        image = _content(cast("IO[bytes]", image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode(bytes(image), name="image", at_least=at_least)
    if isinstance(image, Image.Image):
        return from_pillow(image, name=image_name(image) or "image")
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    raise not_an_image(image)


def not_an_image(value: object) -> ArgumentError:
    """Return the error for a value of another type."""
    remedy = "give a path, bytes, a binary file, a Pillow image, a uint8 array or a uint8 tensor"
    if isinstance(value, Mapping):
        remedy = "give its images as a list: list(images.values())"
    return ArgumentError(f"cannot read an image from {type(value).__name__}", where="image", remedy=remedy)


def require_several(value: object) -> None:
    """Raise an `ArgumentError` unless a value that is no image is an iterable of images."""
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise not_an_image(value)


def read_file(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        ImageError: There is no such file, or it cannot be read.
    """
    try:
        return read_bounded(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        name = str(path)
        if _URL.match(name):
            raise ImageError(
                "a URL, and images are read from files",
                where=shortened(re.sub(":/(?!/)", "://", name), _LONGEST),
                remedy="download it, then give its path or its bytes",
            ) from error
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise ImageError(reason.lower(), where=_place(path), remedy="check the path") from error


def _place(path: Path) -> str | Path:
    return path if len(str(path)) <= _LONGEST else shortened(path, _LONGEST)


def _is_file(value: object) -> bool:
    return callable(getattr(value, "read", None)) and not isinstance(value, np.ndarray | Tensor)


def _content(file: IO[bytes]) -> bytes:
    """Return the whole content of an open file, wherever its position is."""
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content: object = file.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise ImageError(
            f"the file cannot be read ({str(error).rstrip('.')})",
            where="image",
            remedy="give one that is open for reading",
        ) from error
    if isinstance(content, str):
        raise ImageError("a file opened as text", where="image", remedy='open it with mode "rb"')
    if not isinstance(content, bytes | bytearray | memoryview):
        raise not_an_image(file)
    return bytes(content)


def _from_array(array: npt.NDArray[np.uint8]) -> Pixels:
    if array.dtype.kind in "OSU":
        raise ImageError(
            "an array of texts or objects", where="image", remedy="give several images as a list"
        )
    if array.dtype != np.uint8:
        raise ImageError(
            f"an array of {array.dtype}", where="image", remedy="give uint8 values from 0 to 255"
        )
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in _CHANNELS or 0 in shape:
        raise ImageError(
            f"an array of shape {shape}",
            where="image",
            remedy="give (H, W), (H, W, 3) or (H, W, 4), and several images as a list",
        )
    if array.shape[2] == 4:
        return from_pillow(Image.fromarray(array))
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _from_tensor(tensor: Tensor) -> Pixels:
    if tensor.dtype != torch.uint8:
        raise ImageError(
            f"a tensor of {str(tensor.dtype).removeprefix('torch.')}",
            where="image",
            remedy="give uint8 values from 0 to 255",
        )
    if tensor.ndim == 3 and tensor.shape[0] in _CHANNELS:
        tensor = tensor.permute(1, 2, 0)
    elif tensor.ndim != 2:
        raise ImageError(
            f"a tensor of shape {tuple(tensor.shape)}",
            where="image",
            remedy="give (H, W) or (C, H, W), and several images as a list",
        )
    return _from_array(tensor.detach().cpu().numpy())
