"""Read Parquet files with a bound on the bytes that they become.

`heritage.core.bounded_read` does the same for other files; it does not import pyarrow, which takes a quarter
of a second.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from heritage.core.bounded_read import TooLargeError, require_regular

MAX_TABLE_BYTES = 4 << 30
"""Size of a table in memory: 20 million rows of a manifest's length."""

_FREE = 256 << 20  # bytes that any table may become
_RATIO = 100  # a larger table may become so many times its file's size
_ROWS = 4096  # decoded at a time


def read_parquet(path: Path, limit: int = MAX_TABLE_BYTES) -> pa.Table:
    """Read a Parquet file.

    Args:
        path: The file.
        limit: Bytes in memory. A file may become 256 MiB, or a hundred times its size up to ``limit``.

    Raises:
        TooLargeError: It becomes larger.
        pyarrow.ArrowInvalid: It is damaged, or has a column of a kind that is not supported.
        OSError: It cannot be read, or is not a regular file.
    """
    require_regular(path)
    limit = min(limit, max(_FREE, _RATIO * path.stat().st_size))
    try:
        return _read_parquet(path, limit)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError, pa.ArrowIndexError) as error:
        raise pa.ArrowInvalid(str(error)) from error


def _read_parquet(path: Path, limit: int) -> pa.Table:
    with pq.ParquetFile(path) as file:
        groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
        if sum(group.total_byte_size for group in groups) > limit:
            raise TooLargeError(f"the table becomes larger than {limit:,} bytes")
        batches, size = [], 0
        for batch in file.iter_batches(batch_size=_ROWS):
            size += batch.nbytes
            if size > limit:
                raise TooLargeError(f"the table becomes larger than {limit:,} bytes")
            batches.append(batch)
        table = pa.Table.from_batches(batches, schema=file.schema_arrow)
    table.validate(full=True)  # text that is not UTF-8
    if repeated := [name for name, count in Counter(table.column_names).items() if count > 1]:
        raise pa.ArrowInvalid(f"column {repeated[0]} occurs twice")
    return table
