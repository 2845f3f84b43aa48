"""A lane beside the one on which pictures are computed: what goes there delays no step, and is left out when late."""

import functools
from collections.abc import Callable
from typing import Any

import torch

Deliver = Callable[[torch.Tensor], None]
"""Given what was computed, on the host."""


class SideLane:
    """Computes one small thing at a time on a stream of its own; on a CPU, at once."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._on_its_way: tuple[Any, torch.Tensor, Deliver, object] | None = None
        self.left_out = 0
        """How many came while another was on its way."""

    def begin(self, compute: Callable[[], torch.Tensor], needed: object, deliver: Deliver) -> None:
        """Have `compute` done from now on and `deliver` called with what it returns; left out when one is on its way.

        `needed` is what it reads, which is kept until then.
        """
        if self._device.type != "cuda":
            deliver(compute())
            return
        self.deliver()
        if self._on_its_way is not None:
            self.left_out += 1
            return
        stream = _stream_of(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            result = compute()
            found = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
            found.copy_(result, non_blocking=True)
            event = _cuda.Event()
            event.record(stream)
        self._on_its_way = event, found, deliver, (needed, result)

    def deliver(self, *, wait: bool = False) -> None:
        """Hand over what is done by now; with `wait`, also what is not yet."""
        if self._on_its_way is None:
            return
        event, found, deliver, _ = self._on_its_way
        if wait:
            event.synchronize()
        elif not event.query():
            return
        self._on_its_way = None
        deliver(found)


@functools.cache
def _stream_of(device: torch.device) -> Any:
    """The one stream of all lanes: for each that multiplies, cuBLAS keeps a workspace of up to 32 MiB for ever."""
    return _cuda.Stream(device)


_cuda: Any = torch.cuda  # its classes carry no types
