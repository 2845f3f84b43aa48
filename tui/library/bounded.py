"""Files that others may have put there: only ordinary ones are read, and small ones are small."""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tui.protocol.problem import LatenttyError, Problem

T = TypeVar("T")

MAX_CONFIGURATION: Final = 1_000_000
"""Bytes of the largest settings, theme or defaults file that is read."""


def open_ordinary(path: Path) -> io.BufferedReader:
    """The file at `path`, for reading; its folder may hold pipes, which would be waited for without end, and devices.

    Raises:
        OSError: it cannot be opened, or is no ordinary file.
    """
    file = io.FileIO(path, opener=_without_waiting)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return io.BufferedReader(file)


def _without_waiting(path: str | os.PathLike[str], flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_small(path: Path, limit: int = MAX_CONFIGURATION) -> bytes:
    """The bytes of the file at `path`.

    Raises:
        OSError: it cannot be read, or holds more than `limit` bytes.
    """
    with open_ordinary(path) as file:
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
    cause, hint = f"{path} cannot be read: {error.strerror}.", "Look at it, and at the disk that it lies on."
    if isinstance(error, FileNotFoundError):
        cause, hint = f"{path} is not there.", "Put it back."
    elif isinstance(error, PermissionError):
        hint = "Let your user read it: chmod u+r, or ask whom it belongs to."
    return LatenttyError(Problem(code="model_missing", cause=cause, hint=hint))
