"""The same work on many things, by several processes, none of which outlives who started it."""

import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, Final, TypeVar

from tui.protocol.problem import LatenttyError, Problem

Given = TypeVar("Given")
Made = TypeVar("Made")

AHEAD: Final = 2
"""Things for each process that a stream makes before they are asked for."""


def map_in_order(
    make: Callable[[Given], Made], given: Sequence[Given], processes: int, chunk: int = 1
) -> Iterator[Made]:
    """`make` of each of `given`, in their order; by `processes` fresh processes, or by this one when it is 1.

    Raises:
        LatenttyError: a process ended before its work was done.
    """
    if processes <= 1:
        yield from map(make, given)
        return
    with _workers(processes) as pool:
        yield from pool.map(make, given, chunksize=chunk)


def stream_in_order(make: Callable[[Given], Made], given: Iterable[Given], processes: int) -> Iterator[Made]:
    """The same for things that may have no end: a few are made ahead of those that are asked for.

    Raises:
        LatenttyError: a process ended before its work was done.
    """
    if processes <= 1:
        yield from map(make, given)
        return
    coming = iter(given)
    with _workers(processes) as pool:
        made = deque(pool.submit(make, one) for one in itertools.islice(coming, AHEAD * processes))
        while made:
            yield made.popleft().result()
            made.extend(pool.submit(make, one) for one in itertools.islice(coming, 1))


def started(target: Callable[..., None], *arguments: Any) -> multiprocessing.process.BaseProcess:
    """A fresh process that does `target`, and ends when this one does."""
    process = multiprocessing.get_context("spawn").Process(target=_alive_with_parent, args=(target, *arguments))
    process.start()
    return process


def _alive_with_parent(target: Callable[..., None], *arguments: Any) -> None:
    _end_with_parent()
    target(*arguments)


def _end_with_parent() -> None:
    """From now on, end this process at once when its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only what was started by multiprocessing has this to do"

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _workers(processes: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")  # a fork would share CUDA and the locks of other threads
    pool = ProcessPoolExecutor(processes, context, _end_with_parent)
    try:
        yield pool
    except BrokenProcessPool:
        cause = "A process that makes the data ended before its work was done."
        hint = "It may have run out of memory; use fewer with --processes."
        raise LatenttyError(Problem(code="worker_died", cause=cause, hint=hint)) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
