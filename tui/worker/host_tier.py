"""Files whose mapping CUDA knows as pinned, so that copies from them need no way through other memory."""

import ctypes
import logging
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tui.worker.cancel import CancelToken
from tui.worker.cuda_runtime import register, unregister, windows
from tui.worker.file_runs import Places

log = logging.getLogger(__name__)

BETWEEN_CHECKS: Final = 0.02
"""Seconds between two looks at whether someone cancelled, while waiting."""

CACHED: Final = 0.98
"""The share of a file in the kernel's memory from which on it is registered before it is read."""

MAP_FAILED: Final = ctypes.c_void_p(-1).value


class HostTier:
    """Files whose mapping CUDA knows as pinned: the page cache itself is the host tier, without a copy in RAM.

    The libraries map files privately, and pinning such a mapping would copy it; so each file is mapped once more,
    shared and read-only, and that mapping is registered: in the background, so that nobody waits for it.
    """

    def __init__(self, limit: int = 0) -> None:
        self._files: OrderedDict[str, _Registered] = OrderedDict()
        self._asked: set[str] = set()
        self._awaited: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="host-tier")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._limit = limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        self.refused = False
        """Whether this platform does not allow it."""

    @property
    def bytes(self) -> int:
        """Of all that is registered."""
        with self._lock:
            return sum(file.size for file in self._files.values())

    def begin(self, paths: Iterable[str]) -> None:
        """Register these files from now on, in the background."""
        self._begin(paths, only_cached=False)

    def begin_cached(self, paths: Iterable[str]) -> None:
        """Register those of `paths` that the kernel has in its memory, in the background.

        Registering any other would read it page by page; the kernel begins to read those in its own way.
        """
        self._begin(paths, only_cached=True)

    def _begin(self, paths: Iterable[str], *, only_cached: bool) -> None:
        for path in dict.fromkeys(paths):
            if not self.refused and path not in self._files and path not in self._asked:
                self._asked.add(path)  # before the thread can be done with it
                asked = self._thread.submit(self._register, path, only_cached)
                if only_cached:
                    self._awaited[path] = asked

    def wait(self) -> None:
        """Until what was begun is done."""
        self._thread.submit(int).result()

    def await_cached(self, places: Places, token: CancelToken) -> None:
        """Until those files of `places` that :meth:`begin_cached` was told of are registered, which takes a moment.

        Raises:
            Cancelled: `token` said so.
        """
        for path in {path for path, _ in places} & self._awaited.keys():
            while not self._awaited[path].done():
                token.check()
                wait([self._awaited[path]], timeout=BETWEEN_CHECKS)
            del self._awaited[path]

    @contextmanager
    def held(self, places: Places) -> Iterator[list[int] | None]:
        """Where each of `places` lies in registered memory, for as long as one is inside; None where one does not."""
        with self._lock:
            paths = {path for path, _ in places}
            files = [self._files[path] for path in paths if path in self._files]
            whole = len(files) == len(paths)
            for file in files if whole else ():
                file.users += 1
            for path in paths if whole else ():
                self._files.move_to_end(path)
            found = [self._files[path].address + offset for path, offset in places] if whole else None
        try:
            yield found
        finally:
            with self._lock:
                for file in files if whole else ():
                    file.users -= 1

    def _register(self, path: str, only_cached: bool) -> None:
        try:
            size = Path(path).stat().st_size
            if only_cached and cached_share(path) < CACHED:
                self._reader.submit(read_ahead, path)
            elif size <= self._limit:
                self._make_room(size)
                file = _Registered(path)
                with self._lock:
                    self._files[path] = file
        except OSError as error:
            log.info("file mappings cannot be registered with CUDA here, so copies go through a ring: %s", error)
            self.refused = True
        finally:
            self._asked.discard(path)

    def _make_room(self, size: int) -> None:
        """Let go of what was unused for longest, so that no more than half of the host's memory is pinned."""
        with self._lock:
            excess = sum(file.size for file in self._files.values()) + size - self._limit
            for path, file in list(self._files.items()):
                if excess > 0 and not file.users:
                    self._files.pop(path).close()
                    excess -= file.size

    def release_changed(self) -> None:
        """Let go of files that are gone or were replaced."""
        with self._lock:
            for path, file in list(self._files.items()):
                if not file.current() and not file.users:
                    self._files.pop(path).close()


class _Registered:
    """One file, mapped shared and read-only, and registered window by window: CUDA holds others up meanwhile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.address, self._found = _mapped(path)
        self.size = self._found.st_size
        self.users = 0
        """How many copy from it just now."""
        self._windows: list[int] = []
        for done, size in windows(0, self.size):
            begin = self.address + done
            try:
                register(begin, size)
            except OSError:
                self.close()
                raise
            self._windows.append(begin)

    def current(self) -> bool:
        """Whether the path still leads to the file that was mapped."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - the path is text of the kernel's
        except OSError:
            return False
        mine = self._found
        return (found.st_ino, found.st_mtime_ns, found.st_size) == (mine.st_ino, mine.st_mtime_ns, mine.st_size)

    def close(self) -> None:
        """Nothing may be copying from it any more."""
        for begin in self._windows:
            unregister(begin)
        _libc.munmap(self.address, self.size)


def _mapped(path: str) -> tuple[int, os.stat_result]:
    """Where the whole file at `path` is mapped now, shared and read-only, and what it is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        address = _libc.mmap(None, found.st_size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    finally:
        os.close(descriptor)
    if address in (None, MAP_FAILED):
        raise OSError(ctypes.get_errno(), f"{path} cannot be mapped")
    return int(address), found


def cached_share(path: str) -> float:
    """How much of the file at `path` the kernel has in its memory, 0 to 1."""
    address, found = _mapped(path)
    try:
        resident = ctypes.create_string_buffer(-(-found.st_size // mmap.PAGESIZE))
        if _libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(found.st_size), resident):
            raise OSError(ctypes.get_errno(), f"nobody tells what is cached of {path}")
    finally:
        _libc.munmap(address, found.st_size)
    # the lowest bit of each byte; all others are 0 on every kernel so far
    return resident.raw.count(b"\x01") / len(resident)


def read_ahead(path: str) -> None:
    """Have the kernel read the file at `path` from its beginning on, while this process does something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        log.info("%s is not read ahead: %s", path, error)  # who needs it will say more
        return
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
    os.close(descriptor)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
