"""Reading the next job's model while the current one draws, so that its load finds the files in memory.

A thread that only reads: the kernel keeps what it read as long as nobody else needs the room.
"""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tui.library.weight_files import weight_files

log = logging.getLogger(__name__)

CHUNK: Final = 8 << 20
"""Bytes read at a time."""

SPARE: Final = 2 << 30
"""Bytes of free memory to leave alone."""


class Prefetch:
    """At most one folder is read at a time; a new one replaces it."""

    def __init__(self, read: Callable[[str], None]) -> None:
        """`read` is told each file that was read to its end."""
        self._told = read
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.read_bytes = 0
        """Since the start of the process."""

    def begin(self, folder: str) -> None:
        """Read the weights in `folder` and below from now on, in the background; nothing when it is empty."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._stop = threading.Event()
        if folder:
            self._thread = threading.Thread(target=self._read, args=(Path(folder), self._stop), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until what was begun is done."""
        if self._thread is not None:
            self._thread.join()

    def _read(self, folder: Path, stop: threading.Event) -> None:
        files = [file for place in (folder, *sorted(folder.glob("*/"))) for file in weight_files(place)]
        if sum(file.stat().st_size for file in files) > _available() - SPARE:
            log.info("not enough free memory to read %s ahead", folder)
            return
        for path in files:
            with path.open("rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
                while not stop.is_set() and (chunk := file.read(CHUNK)):
                    self.read_bytes += len(chunk)
            if stop.is_set():
                return
            self._told(str(path.resolve()))


def _available() -> int:
    """Bytes that can be had without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
