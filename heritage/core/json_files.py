"""Read JSON files of unknown origin: bounded, and checked against a type before anything uses them.

A run folder or data set may come from anybody, or have been edited by hand. What a file must contain is
declared once, as a pydantic type, and any other content is one error, not an exception somewhere later.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from heritage.core.bounded_read import read_bounded

MAX_JSON_BYTES = 256 << 20
"""Size of a JSON file; the index of five million packed images has about 200 MB."""

Count = Annotated[int, Field(ge=0, le=2**53, strict=True)]
"""A number of images, groups or steps; larger ones cannot be converted to floats."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number."""
Score = Number | None
"""A metric; None where it is not defined."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonModel(BaseModel):
    """Base class of types of JSON objects: no conversions, and further keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


def read_json_file(path: Path, kind: Any, *, limit: int = MAX_JSON_BYTES) -> Any:
    """Return the content of a JSON file as plain data.

    Args:
        path: The file.
        kind: The type that its content must have, with `JsonModel` for objects.
        limit: Bytes at most.

    Raises:
        ValueError: It is not JSON, has too many levels, or an entry has another type or an invalid value.
        OSError: It cannot be read, is not a regular file, or is larger than ``limit``.
    """
    return parsed_json(read_bounded(path, limit), kind)


def parsed_json(text: bytes, kind: Any) -> Any:
    """Return the content of a JSON text; arguments and errors as for `read_json_file`."""
    try:
        content = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(content, ensure_ascii=False).encode()  # no file could contain half a pair
        TypeAdapter(kind).validate_python(content)
    except RecursionError as error:
        raise ValueError("too many levels") from error
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from error
    return content


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, fault["loc"]))
    return f"{place[:80]}: {fault['msg']}" if place else str(fault["msg"])
