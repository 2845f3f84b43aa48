"""The hashes by which pictures and web sites name a model's file."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from blake3 import blake3
from msgspec import Struct

PIECE: Final = 8 << 20
OLD_START, OLD_LENGTH = 0x100000, 0x10000
"""The part of a file that A1111 looked at before it read whole files."""


class Hashes(Struct, frozen=True, kw_only=True):
    """Of one file, in hexadecimal."""

    blake3: str
    sha256: str
    old_hash: str


def hash_file(path: Path, go_on: Callable[[], bool] = lambda: True) -> Hashes | None:
    """The hashes of the file at `path`; None when `go_on`, asked after every 8 MiB, said no.

    Raises:
        OSError: it cannot be read.
    """
    whole, quick, old = hashlib.sha256(), blake3(), hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        file.seek(OLD_START)
        old.update(file.read(OLD_LENGTH))
        file.seek(0)
        while piece := file.read(PIECE):
            whole.update(piece)
            quick.update(piece)
            if not go_on():
                return None
    return Hashes(blake3=quick.hexdigest(), sha256=whole.hexdigest(), old_hash=old.hexdigest()[:8])
