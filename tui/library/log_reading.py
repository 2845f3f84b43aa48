"""Reading a log that grows, and that is rotated."""

import os
from pathlib import Path
from typing import Final

from tui.protocol.log import LogPart, LogPlace

TAIL: Final = 256 << 10
"""Bytes that are read at a time; of a file not read before, its last ones."""


def read_log(path: Path, since: LogPlace) -> LogPart:
    """What was written to the log at `path` after `since`; nothing while there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return LogPart(text="", place=since)
    with file:
        found = os.fstat(file.fileno())
        same = found.st_ino == since.file and found.st_size >= since.at
        at = since.at if same else max(found.st_size - TAIL, 0)
        file.seek(at)
        lines, end, _ = file.read(TAIL).rpartition(b"\n")
    whole = lines + end
    return LogPart(text=whole.decode(errors="replace"), place=LogPlace(file=found.st_ino, at=at + len(whole)))
