"""Giving mapped pages back to the kernel once what they held was cast: else a file and its cast copy count together."""

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import torch

WORTH: Final = 64 << 20
"""Bytes of a module below which nothing is given back."""

AT_ONCE: Final = 128 << 20
"""Bytes that are cast between two times of giving back."""

MADV_DONTNEED: Final = 4


@dataclass(frozen=True)
class Area:
    """A run of this process's memory that a file is mapped to and that nothing was ever written to."""

    begin: int
    end: int


def untouched_areas() -> list[Area]:
    """Every such area: what is dropped from it comes back from its file, the same."""
    found: list[Area] = []
    latest: Area | None = None
    with open("/proc/self/smaps") as smaps:  # noqa: PTH123 - a kernel file
        for line in smaps:
            first, _, rest = line.partition(" ")
            if not first.endswith(":"):
                low, _, high = first.partition("-")
                is_file = rest.split(maxsplit=4)[4:] != [] and rest.split(maxsplit=4)[4].startswith("/")
                latest = Area(int(low, 16), int(high, 16)) if is_file else None
            elif first == "Anonymous:" and latest is not None and rest.split()[0] == "0":
                found.append(latest)
    return found


class MappedPages:
    """The pages of tensors that were read and are not needed again soon."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._areas = untouched_areas() if sum(tensor.nbytes for tensor in tensors) >= WORTH else []
        self._read: list[torch.Tensor] = []

    def add(self, tensor: torch.Tensor) -> None:
        """`tensor` was read."""
        if self._areas:
            self._read.append(tensor)
            if sum(one.nbytes for one in self._read) >= AT_ONCE:
                self.give_back()

    def give_back(self) -> None:
        """Have the kernel forget the whole pages of what was read; whoever reads them again gets them from the file."""
        for begin, end in _runs(self._read):
            if any(area.begin <= begin and end <= area.end for area in self._areas):
                _libc.madvise(begin, end - begin, MADV_DONTNEED)
        self._read.clear()


def _runs(tensors: list[torch.Tensor]) -> Iterator[tuple[int, int]]:
    """The whole pages that `tensors` fill, neighbours together."""
    ranges = sorted((tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes) for tensor in tensors)
    joined: list[tuple[int, int]] = []
    for begin, end in ranges:
        if joined and begin - joined[-1][1] < mmap.PAGESIZE:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((begin, end))
    for begin, end in joined:
        first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last:
            yield first, last


_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
