"""Small files, read whole: one that is not small is refused before it is read."""

import errno
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tui.protocol.problem import LatenttyError, Problem

T = TypeVar("T")

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


def read_toml(path: Path, kind: type[T]) -> T:
    """The TOML file at `path` as a `kind`.

    Raises:
        OSError: it cannot be read, or is large.
        msgspec.DecodeError: it is no TOML, or says something else.
    """
    try:
        return msgspec.toml.decode(read_small(path), type=kind)
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deep") from None
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None


def unreadable(path: Path, error: OSError) -> LatenttyError:
    """The error for a file of weights that cannot be opened because of `error`."""
    cause = (
        f"{path} is not there." if isinstance(error, FileNotFoundError) else f"{path} cannot be read: {error.strerror}."
    )
    return LatenttyError(Problem(code="model_missing", cause=cause, hint="Put it back."))
