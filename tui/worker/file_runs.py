"""Where mapped tensors lie in their files, and the runs of bytes in which they can be copied."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

RUN: Final = 64 << 20
"""Bytes of a file that come in one copy, if no tensor is larger: long enough for the bus, short enough to cancel."""

Places = list[tuple[str, int]]
"""Files, and a byte in each."""


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
