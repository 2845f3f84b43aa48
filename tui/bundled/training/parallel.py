"""The same work on many things, by several processes."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tui.protocol.problem import LatenttyError, Problem

Given = TypeVar("Given")
Made = TypeVar("Made")


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
    context = multiprocessing.get_context("spawn")  # a fork would share CUDA and the locks of other threads
    try:
        with ProcessPoolExecutor(processes, context) as pool:
            yield from pool.map(make, given, chunksize=chunk)
    except BrokenProcessPool:
        cause = "A process that makes the data ended before its work was done."
        hint = "It may have run out of memory; use fewer with --processes."
        raise LatenttyError(Problem(code="worker_died", cause=cause, hint=hint)) from None
