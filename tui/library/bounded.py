"""Small files, read whole: one that is not small is refused before it is read."""

import errno
from pathlib import Path
from typing import Final

MAX_CONFIGURATION: Final = 1_000_000
"""Bytes of the largest settings, theme or defaults file that is read."""


def read_small(path: Path, limit: int = MAX_CONFIGURATION) -> bytes:
    """The bytes of the file at `path`.

    Raises:
        OSError: it cannot be read, or holds more than `limit` bytes.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it holds more than {limit} bytes", str(path))
    return data
