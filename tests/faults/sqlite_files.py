"""Between SQLite and its files: every write and sync is recorded, and can be made to fail.

The default VFS of the library that Python's `sqlite3` uses is patched in place while a :class:`SqliteFiles` is open.
Structures: https://sqlite.org/c3ref/vfs.html and https://sqlite.org/c3ref/io_methods.html
"""

import ctypes
import ctypes.util
import random
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

FULL: Final = 13
IO_ERROR_IN_SYNC: Final = 10 | 4 << 8
SECTOR: Final = 512

OPEN = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_int, c_void_p)
DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)

Methods = c_void_p * 19
"""`sqlite3_io_methods` of version 3, its version in the first place."""

AT_WRITE, AT_TRUNCATE, AT_SYNC = 3, 4, 5


class Vfs(ctypes.Structure):
    """The head of `sqlite3_vfs`."""

    _fields_ = [
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("following", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", OPEN),
        ("delete", DELETE),
    ]


@dataclass(frozen=True)
class Operation:
    """One change of one file."""

    kind: Literal["write", "truncate", "sync", "delete", "folder"]
    name: str
    offset: int = 0
    """Or the new size; or whether a deletion is synced at once."""
    data: bytes = b""


def library() -> ctypes.CDLL | None:
    """The library that Python's own module is linked to; None where it is linked into it."""
    import _sqlite3

    mapped = Path("/proc/self/maps").read_text().splitlines()
    assert _sqlite3.__file__
    found = {line.split()[-1] for line in mapped if "/libsqlite3" in line}
    return ctypes.CDLL(found.pop()) if len(found) == 1 else None


class SqliteFiles:
    """Sees what SQLite does to its files. `fail` is asked before each operation and returns SQLite's error, or 0."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.fail: Callable[[Operation], int] = lambda _: 0
        self._kept: dict[int, tuple[Any, ...]] = {}
        loaded = library()
        assert loaded is not None
        loaded.sqlite3_vfs_find.restype = POINTER(Vfs)
        loaded.sqlite3_vfs_find.argtypes = [c_char_p]
        self._vfs = loaded.sqlite3_vfs_find(None).contents
        self._old = (OPEN.from_buffer_copy(self._vfs.open), DELETE.from_buffer_copy(self._vfs.delete))
        self._new = (OPEN(self._open), DELETE(self._delete))

    def __enter__(self) -> Self:
        self._vfs.open, self._vfs.delete = self._new
        return self

    def __exit__(self, *_: object) -> None:
        self._vfs.open, self._vfs.delete = self._old

    def _take(self, operation: Operation, then: Callable[[], int]) -> int:
        if error := self.fail(operation):
            return error
        self.operations.append(operation)
        return then()

    def _delete(self, vfs: int, path: bytes, sync: int) -> int:
        operation = Operation("delete", Path(path.decode()).name, sync)
        return self._take(operation, lambda: self._old[1](vfs, path, sync))

    def _open(self, vfs: int, path: bytes | None, file: int, flags: int, out: int) -> int:
        result = self._old[0](vfs, path, file, flags, out)
        place = c_void_p.from_address(file)
        if result or not place.value or path is None:
            return result
        name = Path(path.decode()).name
        old = Methods.from_address(place.value)
        write, truncate, sync = WRITE(old[AT_WRITE]), TRUNCATE(old[AT_TRUNCATE]), SYNC(old[AT_SYNC])

        def written(one: int, data: int, size: int, offset: int) -> int:
            operation = Operation("write", name, offset, ctypes.string_at(data, size))
            return self._take(operation, lambda: write(one, data, size, offset))

        def truncated(one: int, size: int) -> int:
            return self._take(Operation("truncate", name, size), lambda: truncate(one, size))

        def synced(one: int, flags: int) -> int:
            return self._take(Operation("sync", name), lambda: sync(one, flags))

        callbacks = WRITE(written), TRUNCATE(truncated), SYNC(synced)
        new = Methods(*old)
        for at, callback in zip((AT_WRITE, AT_TRUNCATE, AT_SYNC), callbacks, strict=True):
            new[at] = ctypes.cast(callback, c_void_p)
        place.value = ctypes.addressof(new)
        self._kept[file] = (new, callbacks)
        return result


def after_power_cut(operations: list[Operation], chance: random.Random) -> dict[str, bytes]:
    """The files as a disk may hold them when the power goes after `operations`.

    What was synced is there; of each write since, all, some sectors or nothing, each as it happens.
    """
    last_folder = max((number for number, one in enumerate(operations) if one.kind == "folder"), default=-1)
    last_sync = {one.name: number for number, one in enumerate(operations) if one.kind == "sync"}
    files: dict[str, bytearray] = {}
    for number, one in enumerate(operations):
        safe = number <= last_sync.get(one.name, -1)
        if one.kind == "delete":
            if one.offset or number < last_folder or chance.random() < 0.5:
                files.pop(one.name, None)
        elif one.kind in ("write", "truncate") and (safe or chance.random() < 0.5):
            content = files.setdefault(one.name, bytearray())
            _apply(one, content, torn=not safe and chance.random() < 0.3, chance=chance)
    return {name: bytes(content) for name, content in files.items()}


def _apply(one: Operation, content: bytearray, *, torn: bool, chance: random.Random) -> None:
    if one.kind == "truncate":
        del content[one.offset :]
    elif one.kind == "write":
        data = one.data[: chance.randrange(len(one.data) + 1) // SECTOR * SECTOR] if torn else one.data
        content.extend(bytes(max(one.offset - len(content), 0)))
        content[one.offset : one.offset + len(data)] = data
