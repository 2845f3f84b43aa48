"""Weights that come block by block: each is on its way while the block before it computes.

What the budget has room for stays on the device, so that as few bytes as possible cross the bus in every step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import torch
from torch import nn

from tui.worker.bus import Arrival, Bus
from tui.worker.cancel import CancelToken
from tui.worker.component import Component

FINE: Final = 0.9
"""The share of a block's bytes that must lie in blocks inside it, for those to be streamed instead."""


class Carrier(Protocol):
    """Brings blocks into one of two places."""

    def bring(self, block: nn.Module, place: int) -> None:
        """Begin to bring `block`, once what computes in `place` is done."""

    def await_arrival(self, block: nn.Module, place: int) -> None:
        """What is computed from now on finds the weights of `block`."""

    def leave(self, block: nn.Module, place: int) -> None:
        """Nothing that is computed from now on needs `block` in `place`."""


class Conveyor:
    """Has each block there when it computes, and the one after it on its way: which that is, the last step told."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._places: list[nn.Module | None] = [None, None]
        self._busy: int | None = None
        self._follows: dict[nn.Module, nn.Module] = {}
        self._last: nn.Module | None = None

    def begin(self, block: nn.Module) -> None:
        """`block` is about to compute."""
        if block not in self._places:
            self._bring(block, 0)
        place = self._places.index(block)
        self._carrier.await_arrival(block, place)
        if self._last is not None:
            self._follows[self._last] = block
        self._last, self._busy = block, place
        following = self._follows.get(block)
        if following is not None and following not in self._places:
            self._bring(following, 1 - place)

    def end(self, block: nn.Module) -> None:
        """`block` has computed."""
        if self._busy is not None and self._places[self._busy] is block:
            self._carrier.leave(block, self._busy)
            self._busy = None

    def _bring(self, block: nn.Module, place: int) -> None:
        self._carrier.bring(block, place)
        self._places[place] = block


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """The blocks that a module computes one after another: members of its module lists, as small as they come.

    A block is taken apart where nearly all of its weights lie in lists of blocks inside it.
    """
    found: list[nn.Module] = []
    for child in module.children():
        if not isinstance(child, nn.ModuleList):
            found += blocks_of(child)
            continue
        for block in child:
            inner = [] if block is None else blocks_of(block)
            if sum(map(bytes_of, inner)) >= FINE * bytes_of(block) > 0:
                found += inner
            elif block is not None:
                found.append(block)
    return found


def bytes_of(module: nn.Module | None) -> int:
    """Of all its weights."""
    return 0 if module is None else sum(weight.numel() * weight.element_size() for weight in module.parameters())


def staying(sizes: Sequence[int], room: int) -> set[int]:
    """Which of blocks of these `sizes`, by number, stay within `room` bytes: spread evenly, so that while they compute
    those that come have time to."""
    total, seen, kept = sum(sizes), 0, 0
    chosen: set[int] = set()
    for number, size in enumerate(sizes):
        seen += size
        if kept + size <= min(room, room * seen // max(total, 1)):
            chosen.add(number)
            kept += size
    return chosen


@contextmanager
def streamed(component: Component, room: int, token: CancelToken) -> Iterator[None]:
    """While inside, the component's weights are within `room` bytes, or as few as can be; most come and go."""
    blocks = blocks_of(component.module)
    sizes = [component.bytes_inside(block) for block in blocks]
    outside = component.bytes - sum(sizes)
    kept = staying(sizes, room - outside - 2 * max(component.room_inside(block) for block in blocks))
    coming = [block for number, block in enumerate(blocks) if number not in kept]
    inside = {id(tensor) for block in coming for tensor in (*block.parameters(), *block.buffers())}
    component.place_where(lambda tensor: id(tensor) not in inside, token)
    component.streaming = True
    hooks = []
    try:
        with _carrier(component, coming) as carrier:
            conveyor = Conveyor(carrier)
            for block in coming:
                hooks.append(block.register_forward_pre_hook(lambda part, _: conveyor.begin(part)))
                hooks.append(block.register_forward_hook(lambda part, *_: conveyor.end(part)))
            yield
    finally:
        for hook in hooks:
            hook.remove()
        component.drop()


@contextmanager
def _carrier(component: Component, blocks: list[nn.Module]) -> Iterator[Carrier]:
    if component.link is None:
        yield _ByTorch(component)
        return
    with component.registered(blocks) as begins:
        carrier = _ByBus(component, component.link.bus, blocks, begins)
        try:
            yield carrier
        finally:
            carrier.close()


class _ByTorch:
    """torch's own copy, one block at a time: nothing can be on its way meanwhile."""

    def __init__(self, component: Component) -> None:
        self._component = component

    def bring(self, block: nn.Module, place: int) -> None:
        return

    def await_arrival(self, block: nn.Module, place: int) -> None:
        self._component.place_part(block)

    def leave(self, block: nn.Module, place: int) -> None:
        self._component.drop_part(block)


class _ByBus:
    """Copies on a stream of their own, into two places that are taken in turns."""

    def __init__(
        self, component: Component, bus: Bus, blocks: list[nn.Module], begins: dict[int, tuple[int, int]]
    ) -> None:
        self._component = component
        self._bus = bus
        self._begins = begins
        size = max((component.room_inside(block) for block in blocks), default=0)
        self._memory = [torch.empty(size, dtype=torch.uint8, device=component.device) for _ in range(2)]
        self._free = [bus.now(), bus.now()]
        self._arrivals: list[Arrival | None] = [None, None]

    def bring(self, block: nn.Module, place: int) -> None:
        self._arrivals[place] = self._component.send_part(block, self._memory[place], self._free[place], self._begins)

    def await_arrival(self, block: nn.Module, place: int) -> None:
        arrival = self._arrivals[place]
        assert arrival is not None, "it was brought"
        arrival.await_on_current()
        self._component.point_part(block, arrival.targets)

    def leave(self, block: nn.Module, place: int) -> None:
        self._free[place] = self._bus.now()
        self._component.drop_part(block)

    def close(self) -> None:
        """What is on its way arrives before its place is given to others."""
        for arrival in self._arrivals:
            if arrival is not None:
                arrival.event.synchronize()
