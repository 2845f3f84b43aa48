"""Getting weights to a GPU as fast as the bus: readers fill a pinned ring, and copies run on a stream of their own.

Three ways lead from a mapped tensor to the device, and :class:`Bus` takes the best that there is:

* "registered": the file's mapping is known to CUDA as pinned memory, so asynchronous copies of long runs of it do;
* "ring": several threads copy pieces from the mapping into pinned slots, and each slot is sent on while others fill;
* "sequential": one thread does, in the file's order, when the disk turns out to be slow: many readers make a spinning
  or networked disk slower still.
"""

import ctypes
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import torch

from tui.protocol.events import Reader
from tui.worker.cancel import CancelToken
from tui.worker.cuda_runtime import copy_async
from tui.worker.file_runs import Run

log = logging.getLogger(__name__)

SLOT: Final = 16 << 20
"""Bytes of one pinned slot."""

SLOTS: Final = 16
"""256 MiB in all."""

SLOW_DISK: Final = 400 << 20
"""Bytes a second: below, several readers are no faster than one."""

PROBE: Final = 128 << 20
"""Bytes that are read before the disk is judged."""

QUEUED: Final = 4
"""Runs that are asked of the device and not there yet at most: what is queued cannot be called back."""

ALIGNED: Final = 512
"""Where a tensor may begin on a GPU, in bytes."""


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


_cuda: Any = torch.cuda  # its classes carry no types
