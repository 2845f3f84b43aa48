"""A device that is lost: told where the error is met, and nothing is done after it but ending the process.

After some errors of CUDA every later call fails, or crashes the process before it could say why; so does freeing a
tensor that another stream has used, or a graph. So nothing is unwound between such an error and the end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from tui.protocol.problem import Problem, device_lost

STICKY: Final = frozenset({214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719, 720, 721, 723})
"""The errors of CUDA that "leave the process in an inconsistent state": uncorrectable memory, illegal addresses and
instructions, a failed assertion or launch, a launch that took too long, a broken link. Source: the CUDA runtime's
documentation of cudaError_t."""

EndProcess = Callable[[Exception], NoReturn]
"""Given the error, tells it and ends the process; never comes back."""

_end: list[EndProcess] = []


def end_at_loss(end: EndProcess) -> None:
    """Have `end` called wherever this process meets such an error from now on; without it, they are raised."""
    _end[:] = [end]


@contextmanager
def device_watched() -> Iterator[None]:
    """While inside, an error that loses the device ends the process before anything is let go of."""
    try:
        yield
    except Exception as error:
        if _end and loses_device(error):
            _end[0](error)
        raise


def loses_device(error: BaseException) -> bool:
    """Whether nothing can be had from the device after `error`, or what it came from; asks the device nothing."""
    met: BaseException | None = error
    while met is not None:
        # by name, so that torch need not be there
        if type(met).__name__ == "AcceleratorError" and getattr(met, "error_code", None) in STICKY:
            return True
        met = met.__cause__ or met.__context__
    return False


def loss(error: BaseException, doing: str) -> Problem:
    """What is told of it."""
    why = str(error).strip().partition("\n")[0]
    return device_lost(f"The device failed while {doing}, and the process that used it was ended: {why}.")
