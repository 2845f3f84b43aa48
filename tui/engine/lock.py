"""Who is the engine: the process that holds a POSIX lock on the lock file.

`fcntl.lockf`, not `flock`: a lock of the latter kind lives on in forked children. Its price is that closing any
other descriptor of the file in this process would drop it, so the file is opened once.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from tui.library.engine_file import EngineFile
from tui.library.folders import identity, make_folder

TRIES: Final = 5
"""A client that asks whether the lock is held takes it for an instant; so one failure proves nothing."""


class AlreadyRunning(Exception):
    """Another process is the engine."""


class EngineLock:
    """The lock, held from creation to the end of the process."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: another process holds it.
        """
        self._path = path
        self._descriptor = self._taken()

    @property
    def is_removed(self) -> bool:
        """Whether the file is not at its place any more, so that another process could take the lock there."""
        held = os.fstat(self._descriptor)
        return identity(self._path) != (held.st_dev, held.st_ino)

    def take_again(self) -> None:
        """Take the lock of a new file at the same place.

        Raises:
            AlreadyRunning: another process holds it.
            OSError: there can be no such file now.
        """
        former, self._descriptor = self._descriptor, self._taken()
        os.close(former)

    def _taken(self) -> int:
        make_folder(self._path.parent, 0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        for attempt in range(TRIES):
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt == TRIES - 1:
                    os.close(descriptor)
                    raise AlreadyRunning from None
                time.sleep(0.02)
            else:
                break
        return descriptor

    def write(self, content: EngineFile) -> None:
        """Replace the file's content."""
        data = msgspec.json.encode(content)
        os.pwrite(self._descriptor, data.ljust(4096), 0)

    def release(self) -> None:
        """Let another process be the engine. The file stays: removing it could remove the next engine's."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
