"""Images as Python programs hold them, converted to RGB pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import Pixels, decode, from_pillow
from heritage.errors import ImageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

ImageInput: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8] | Tensor
"""A path; an encoded file as bytes; a Pillow image; a uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or
(H, W, 4); or a uint8 tensor of shape (H, W) or (C, H, W) with C of 1, 3 or 4, as torchvision decodes."""

_CHANNELS = (1, 3, 4)


def is_image(value: object) -> TypeIs[ImageInput]:
    """Return whether a value is a single image, rather than an iterable of images."""
    return isinstance(value, (str, os.PathLike, bytes, Image.Image, np.ndarray, Tensor))


def image_name(image: ImageInput) -> str | None:
    r"""Return the file name of an image; None for an image that was not read from a file.

    Bytes of the name that are not UTF-8 are written as ``\xe9``.
    """
    path: object = getattr(image, "filename", None) if isinstance(image, Image.Image) else image
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        return None
    return os.fsencode(Path(path).name).decode("utf-8", "backslashreplace")


def load_pixels(image: ImageInput, *, at_least: int | None = None) -> Pixels:
    """Return the RGB pixels (H, W, 3) of an image.

    Paths and bytes are decoded as `heritage predict` decodes files: EXIF orientation and colour profile are
    applied, transparent parts are put on white. Pillow images, grey and RGBA arrays are converted by the same
    rules.

    Args:
        image: The image.
        at_least: A JPEG may be decoded at reduced size as long as no side is shorter than this.

    Raises:
        ImageError: The file cannot be read, or the array has another shape or type.
        TypeError: The value is not an image.
    """
    if isinstance(image, (str, os.PathLike)):
        return decode(read_file(Path(image)), name=image, at_least=at_least)
    if isinstance(image, bytes):
        return decode(image, name="image", at_least=at_least)
    if isinstance(image, Image.Image):
        return from_pillow(image, name=image_name(image) or "image")
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    raise not_an_image(image)


def not_an_image(value: object) -> TypeError:
    """Return the error for a value of another type."""
    return TypeError(
        f"cannot read an image from {type(value).__name__}: "
        "give a path, bytes, a Pillow image, a uint8 array or a uint8 tensor"
    )


def read_file(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        ImageError: There is no such file, or it cannot be read.
    """
    try:
        return read_bounded(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise ImageError(reason.lower(), where=path, remedy="check the path") from error


def _from_array(array: npt.NDArray[np.uint8]) -> Pixels:
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
