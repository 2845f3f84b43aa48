"""Memory: telling when there is none left, and giving freed memory back to where others can use it."""

import ctypes
import gc

import torch

_libc = ctypes.CDLL(None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on the device or on the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)


def return_memory() -> None:
    """Return what was freed: collect cycles, empty torch's cache, and have glibc trim its heap.

    Without the last, glibc keeps a freed model's fp32 weights for itself (measured: 2.2 GB instead of 0.5 GB).
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
