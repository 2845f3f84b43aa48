"""What torch does not offer of the CUDA runtime: registering memory that others have mapped, and copying from it."""

import ctypes
from collections.abc import Iterator
from typing import Any, Final

import torch

WINDOW: Final = 256 << 20
"""Bytes of a file that are registered at a time; no copy may cross from one such window to the next."""

READ_ONLY: Final = 8
"""cudaHostRegisterReadOnly."""


def register(begin: int, size: int) -> None:
    """Have CUDA know `size` bytes from the address `begin`, of a mapping that is only read, as pinned.

    Raises:
        OSError: it refuses.
    """
    code = int(_runtime().cudaHostRegister(ctypes.c_void_p(begin), ctypes.c_size_t(size), READ_ONLY))
    if code:
        _runtime().cudaGetLastError()  # or torch would meet the error in its next call
        raise OSError(code, "cudaHostRegister refused")


def unregister(begin: int) -> None:
    """Take back :func:`register`; nothing may be copying from there any more."""
    _runtime().cudaHostUnregister(ctypes.c_void_p(begin))


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


def windows(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """`size` bytes from `offset` of a file in runs that lie in one window each: where they begin, and their bytes."""
    done = 0
    while done < size:
        step = min(size - done, WINDOW - (offset + done) % WINDOW)
        yield done, step
        done += step


def _runtime() -> Any:
    """The CUDA runtime that torch has loaded."""
    global _RUNTIME
    if _RUNTIME is None:
        with open("/proc/self/maps") as maps:  # noqa: PTH123 - a kernel file
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if "libcudart" in line}
        _RUNTIME = ctypes.CDLL(sorted(paths)[0])
    return _RUNTIME


_RUNTIME: Any = None
