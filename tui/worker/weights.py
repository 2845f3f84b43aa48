"""Getting weights to a GPU as fast as the bus: readers fill a pinned ring, and copies run on a stream of their own.

Three ways lead from a mapped tensor to the device, and :class:`Bus` takes the best that there is:

* "registered": the file's mapping is known to CUDA as pinned memory, so asynchronous copies of long runs of it do;
* "ring": several threads copy pieces from the mapping into pinned slots, and each slot is sent on while others fill;
* "sequential": one thread does, in the file's order, when the disk turns out to be slow: many readers make a spinning
  or networked disk slower still.
"""

import bisect
import ctypes
import logging
import mmap
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from tui.protocol.events import Reader
from tui.worker.cancel import CancelToken

log = logging.getLogger(__name__)

SLOT: Final = 16 << 20
"""Bytes of one pinned slot."""

SLOTS: Final = 16
"""256 MiB in all."""

SLOW_DISK: Final = 400 << 20
"""Bytes a second: below, several readers are no faster than one."""

PROBE: Final = 128 << 20
"""Bytes that are read before the disk is judged."""

RUN: Final = 64 << 20
"""Bytes of a file that come in one copy, if no tensor is larger: long enough for the bus, short enough to cancel."""

QUEUED: Final = 4
"""Runs that are asked of the device and not there yet at most: what is queued cannot be called back."""

BETWEEN_CHECKS: Final = 0.02
"""Seconds between two looks at whether someone cancelled, while waiting."""

CACHED: Final = 0.98
"""The share of a file in the kernel's memory from which on it is registered before it is read."""

WINDOW: Final = 256 << 20
"""Bytes of a file that are registered at a time; no copy may cross from one such window to the next."""

ALIGNED: Final = 512
"""Where a tensor may begin on a GPU, in bytes."""

READ_ONLY: Final = 8
"""cudaHostRegisterReadOnly."""

MAP_FAILED: Final = ctypes.c_void_p(-1).value


Places = list[tuple[str, int]]
"""Files, and a byte in each."""


def aligned(size: int) -> int:
    """`size` bytes and what is lost before the next tensor on a GPU."""
    return -(-size // ALIGNED) * ALIGNED


@dataclass(frozen=True)
class Copy:
    """One tensor on its way."""

    source: torch.Tensor
    """On the host, contiguous."""
    target: torch.Tensor
    """On the device, of the same shape and type, contiguous."""
    label: int
    """Given back when it is there or surely will be."""


@dataclass(frozen=True)
class Stretch:
    """Where one tensor lies in a run."""

    target: int
    """The number of the tensor that it goes to."""
    offset: int
    """In the run, in bytes."""
    size: int
    dtype: torch.dtype
    """In the file."""
    shape: torch.Size

    def within(self, run: torch.Tensor) -> torch.Tensor:
        """It, in the bytes of the run."""
        return run[self.offset : self.offset + self.size].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class Run:
    """Tensors that lie one behind the other in a file."""

    path: str
    begin: int
    """Of its first tensor in the file, in bytes."""
    size: int
    tensors: list[Stretch]


@dataclass(frozen=True)
class Arrival:
    """Weights that were sent without waiting for them."""

    targets: list[torch.Tensor]
    """Where they will be, in the order of what was sent."""
    event: Any
    """When."""

    def await_on_current(self) -> None:
        """What the device's current stream does from now on finds them."""
        torch.cuda.current_stream(self.targets[0].device).wait_event(self.event)


class Bus:
    """The way from the host to one GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = _cuda.Stream(device)
        self._threads = min(len(os.sched_getaffinity(0)), 12)
        self._readers: ThreadPoolExecutor | None = None
        self._slots: list[_Slot] = []
        self.reader: Reader = "ring" if self._threads > 1 else "sequential"
        """How the last copies came."""
        self.rate = 0.0
        """Bytes a second of the last copies."""

    def send(self, copies: Sequence[Copy], token: CancelToken, arrived: Callable[[int], None]) -> None:
        """Copy all; what runs on the device's current stream afterwards finds them there.

        Raises:
            Cancelled: `token` said so, between two pieces; the targets then hold anything.
        """
        begun, total = time.monotonic(), sum(copy.source.nbytes for copy in copies)
        # what was freed for the targets may still be in use by what was begun before
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        try:
            self._pump(copies, token, arrived)
        finally:
            self._stream.synchronize()
            for slot in self._slots:
                slot.sent = None
        self.rate = total / max(time.monotonic() - begun, 1e-9)

    def now(self) -> Any:
        """An event: when what was asked of the device so far is done."""
        event = _cuda.Event()
        event.record(torch.cuda.current_stream(self._device))
        return event

    def send_later(
        self, copies: Sequence[Copy], addresses: Sequence[tuple[int, int]], casts: Sequence[torch.Tensor], after: Any
    ) -> Any:
        """Copy from registered memory once the event `after` has happened, and do not wait; when it will be done.

        `addresses` are addresses and places in their files. Where the target in `casts` is not the copy's own, the
        copy is cast to it.
        """
        self._stream.wait_event(after)
        with torch.cuda.stream(self._stream):
            for copy, (address, offset), cast in zip(copies, addresses, casts, strict=True):
                copy_async(address, offset, copy.target, self._stream)
                if cast is not copy.target:
                    cast.copy_(copy.target)
            event = _cuda.Event()
            event.record(self._stream)
        return event

    def _pump(self, copies: Sequence[Copy], token: CancelToken, arrived: Callable[[int], None]) -> None:
        if not self._slots:
            self._slots = [_Slot() for _ in range(SLOTS)]
        readers = self._readers = self._readers or ThreadPoolExecutor(self._threads, thread_name_prefix="reader")
        self.reader = "ring" if self._threads > 1 else "sequential"
        free = list(range(SLOTS))
        under_way: list[tuple[int, list[_Piece], Future[None]]] = []
        read, begun = 0, time.monotonic()
        for pieces in _batches(copies):
            token.check()
            while len(under_way) >= (len(self._slots) if self.reader == "ring" else 1) or not free:
                free.append(self._forward(under_way.pop(0), arrived))
                if self.reader == "ring" and read >= PROBE and read / (time.monotonic() - begun) < SLOW_DISK:
                    log.info("the disk gives %.0f MB/s: one sequential reader", read / 1e6 / (time.monotonic() - begun))
                    self.reader = "sequential"
            number = free.pop(0)
            slot = self._slots[number]
            under_way.append((number, pieces, readers.submit(slot.fill, pieces)))
            read += sum(piece.size for piece in pieces)
        for one in under_way:
            token.check()
            self._forward(one, arrived)

    def _forward(self, filled: "tuple[int, list[_Piece], Future[None]]", arrived: Callable[[int], None]) -> int:
        """Send a slot on as soon as it is filled; its number, for it may be filled again once it has been sent."""
        number, pieces, done = filled
        done.result()
        slot = self._slots[number]
        with torch.cuda.stream(self._stream):
            for piece in pieces:
                piece.target.copy_(slot.memory[piece.at : piece.at + piece.size], non_blocking=True)
            slot.sent = _cuda.Event()
            slot.sent.record(self._stream)
        for piece in pieces:
            if piece.label is not None:
                arrived(piece.label)
        return number

    def send_runs(
        self,
        runs: Sequence[Run],
        addresses: Sequence[int],
        targets: Sequence[torch.Tensor],
        token: CancelToken,
        arrived: Callable[[int], None],
    ) -> None:
        """Copy `runs`, which begin at `addresses` in registered memory, and lay each tensor of them into its target.

        A run is one copy into one of two buffers on the device; laying out, and casting where the type differs, is
        work for the device while the next run comes. `arrived` is told the numbers of the targets that are there.

        Raises:
            Cancelled: `token` said so, between two runs; the targets then hold anything.
        """
        begun, total = time.monotonic(), sum(run.size for run in runs)
        current = torch.cuda.current_stream(self._device)
        room = max(run.size for run in runs)
        halves = [torch.empty(room, dtype=torch.uint8, device=self._device) for _ in range(2)]
        # what was freed for the targets may still be in use by what was begun before
        self._stream.wait_stream(current)
        laid: list[Any] = []
        try:
            for number, (run, address) in enumerate(zip(runs, addresses, strict=True)):
                token.check()
                if number >= len(halves):
                    self._stream.wait_event(laid[number - len(halves)])
                if number >= QUEUED:
                    self._tell(runs[number - QUEUED], laid[number - QUEUED], arrived)
                copy_async(address, run.begin, halves[number % 2][: run.size], self._stream)
                copied = _cuda.Event()
                copied.record(self._stream)
                current.wait_event(copied)
                goals = [targets[one.target] for one in run.tensors]
                torch._foreach_copy_(goals, [one.within(halves[number % 2]) for one in run.tensors])
                laid.append(_cuda.Event())
                laid[-1].record(current)
            for run, event in list(zip(runs, laid, strict=True))[-QUEUED:]:
                self._tell(run, event, arrived)
        finally:
            self._stream.synchronize()
            current.synchronize()
        self.reader, self.rate = "registered", total / max(time.monotonic() - begun, 1e-9)

    @staticmethod
    def _tell(run: Run, there: Any, arrived: Callable[[int], None]) -> None:
        there.synchronize()
        for one in run.tensors:
            arrived(one.target)


@dataclass
class _Piece:
    """A run of a tensor's bytes, on its way through a slot."""

    source: torch.Tensor
    """Bytes."""
    target: torch.Tensor
    at: int
    """Where in the slot."""
    label: int | None
    """Of the copy that this piece ends."""

    @property
    def size(self) -> int:
        return self.source.numel()


class _Slot:
    """Pinned memory that is filled by a reader and then sent."""

    def __init__(self) -> None:
        self.memory = torch.empty(SLOT, dtype=torch.uint8, pin_memory=True)
        self.sent: Any = None

    def fill(self, pieces: "list[_Piece]") -> None:
        """Once what was here before has been sent."""
        if self.sent is not None:
            self.sent.synchronize()
        base = self.memory.data_ptr()
        for piece in pieces:  # memmove through ctypes lets other threads run; page faults are the reading
            ctypes.memmove(base + piece.at, piece.source.data_ptr(), piece.size)


def _batches(copies: Sequence[Copy]) -> Iterator[list[_Piece]]:
    """Pieces that together fill a slot, in the order in which the tensors lie in memory: as in their files."""
    pieces: list[_Piece] = []
    filled = 0
    for copy in sorted(copies, key=lambda one: one.source.data_ptr()):
        source, target = _bytes(copy.source), _bytes(copy.target)
        done, size = 0, source.numel()
        while done < size or size == 0:
            if filled >= SLOT:
                yield pieces
                pieces, filled = [], 0
            step = min(size - done, SLOT - filled)
            label = copy.label if done + step == size else None
            pieces.append(_Piece(source[done : done + step], target[done : done + step], filled, label))
            done += step
            filled = (filled + step + 255) // 256 * 256
            if size == 0:
                break
    if pieces:
        yield pieces


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).view(torch.uint8)


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
        end = self.address + self.size
        for begin in range(self.address, end, WINDOW):
            size = min(WINDOW, end - begin)
            code = int(_runtime().cudaHostRegister(ctypes.c_void_p(begin), ctypes.c_size_t(size), READ_ONLY))
            if code:
                _runtime().cudaGetLastError()  # or torch would meet the error in its next call
                self.close()
                raise OSError(code, "cudaHostRegister refused")
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
            _runtime().cudaHostUnregister(ctypes.c_void_p(begin))
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


def locate(tensors: Sequence[torch.Tensor]) -> Places | None:
    """The file that each of `tensors` is mapped from and the byte in it; None when one of them is not."""
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - a kernel file
        rows = [line.split(maxsplit=5) for line in maps]
    areas = [
        (int(low, 16), int(high, 16), int(row[2], 16), row[5].rstrip("\n"))
        for row in rows
        if len(row) == 6 and row[5].startswith("/")
        for low, _, high in [row[0].partition("-")]
    ]
    lows = [area[0] for area in areas]
    found = []
    for tensor in tensors:
        begin = tensor.data_ptr()
        index = bisect.bisect_right(lows, begin) - 1
        if index < 0 or not tensor.is_contiguous() or begin + tensor.nbytes > areas[index][1]:
            return None
        low, _, offset, path = areas[index]
        found.append((path, begin - low + offset))
    return found


def runs_of(sources: Sequence[torch.Tensor], places: Places) -> list[Run]:
    """Runs that hold all of `sources`, which are mapped from `places`, of at most :data:`RUN` bytes where they can be.

    Tensors in a run are without gaps between them and begin where their type may.
    """
    runs: list[Run] = []
    found: list[Stretch] = []
    first, end = ("", 0), 0

    def close() -> None:
        if found:
            runs.append(Run(*first, end - first[1], list(found)))
            found.clear()

    for number in sorted(range(len(places)), key=lambda one: places[one]):
        source, (path, begin) = sources[number], places[number]
        if not found or path != first[0] or begin != end or begin + source.nbytes - first[1] > RUN:
            close()
            first = path, begin
        if (begin - first[1]) % source.dtype.itemsize:
            close()
            first = path, begin
        found.append(Stretch(number, begin - first[1], source.nbytes, source.dtype, source.shape))
        end = begin + source.nbytes
    close()
    return runs


def windows(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """`size` bytes from `offset` of a file in runs that lie in one window each: where they begin, and their bytes."""
    done = 0
    while done < size:
        step = min(size - done, WINDOW - (offset + done) % WINDOW)
        yield done, step
        done += step


def copy_async(source: int, offset: int, target: torch.Tensor, stream: torch.cuda.Stream) -> None:
    """A copy that the host does not wait for, from `source`, which is byte `offset` of a registered file."""
    for done, size in windows(offset, target.nbytes):
        code = _runtime().cudaMemcpyAsync(
            ctypes.c_void_p(target.data_ptr() + done),
            ctypes.c_void_p(source + done),
            ctypes.c_size_t(size),
            ctypes.c_int(1),  # host to device
            ctypes.c_void_p(stream.cuda_stream),
        )
        if code:
            raise RuntimeError(f"cudaMemcpyAsync failed with error {code}")


def _runtime() -> Any:
    """The CUDA runtime that torch has loaded."""
    global _RUNTIME
    if _RUNTIME is None:
        with open("/proc/self/maps") as maps:  # noqa: PTH123 - a kernel file
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if "libcudart" in line}
        _RUNTIME = ctypes.CDLL(sorted(paths)[0])
    return _RUNTIME


_RUNTIME: Any = None
_cuda: Any = torch.cuda  # its classes carry no types
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
