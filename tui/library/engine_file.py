"""What an engine writes into its lock file, for clients to find it by."""

from pathlib import Path

import msgspec
from msgspec import Struct


class EngineFile(Struct, frozen=True, kw_only=True):
    """The content of the lock file while an engine runs; stale, and harmless, when none does."""

    pid: int
    socket: str
    protocol: int
    version: str
    boot: str
    """Drawn anew by each engine process."""


def read_engine_file(path: Path) -> EngineFile | None:
    """The content of the lock file at `path`; None when there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=EngineFile)
    except (OSError, msgspec.DecodeError):
        return None
