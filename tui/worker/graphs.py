"""Steps without Python's overhead: the denoiser's call is captured as a CUDA graph and replayed.

A graph is captured when the same call has come a few times, and used only if it gives bit for bit what the module
gives. Whatever cannot be captured runs as ever. Graphs belong to the weights as they lie: see `Component.captured`.
"""

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from tui.worker.component import Component
from tui.worker.conditioning import replaced
from tui.worker.lost_device import device_watched
from tui.worker.memory import is_out_of_memory

log = logging.getLogger(__name__)

CALLS_BEFORE: Final = 3
"""Equal calls that run as ever first: they warm libraries up, and a graph must pay."""

KEPT: Final = 4
"""Graphs of one component, each with the memory that its call takes."""


@contextmanager
def captured(component: Component) -> Iterator[None]:
    """While inside, calls of the component's module are replayed where that is possible."""
    if component.device.type != "cuda":
        yield
        return
    module: Any = component.module
    with replaced(module, "forward", _replaying(component, module.forward)):
        yield


def _replaying(component: Component, forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def call(*arguments: Any, **named: Any) -> Any:
        leaves, structure = tree_flatten((arguments, named))
        key = (component.compiled, str(structure), *(_kind(leaf) for leaf in leaves))
        entry = component.captured.setdefault(key, 0)
        component.captured.move_to_end(key)
        if isinstance(entry, _Graph):
            return entry.replay(leaves)
        if entry is None:
            return forward(*arguments, **named)
        if entry < CALLS_BEFORE:
            component.captured[key] = entry + 1
            return forward(*arguments, **named)
        graph, result = _attempt(component, forward, leaves, structure)
        component.captured[key] = graph
        while len(component.captured) > KEPT:
            component.captured.popitem(last=False)
        return result

    return call


def _attempt(component: Component, forward: Callable[..., Any], leaves: list[Any], structure: Any) -> "tuple[Any, Any]":
    """A graph of the call if there can be one, else None; and what the call returns."""
    arguments, named = tree_unflatten(leaves, structure)
    wanted = forward(*arguments, **named)
    try:
        with device_watched():
            graph = _Graph(component.device, forward, leaves, structure)
            found = graph.replay(leaves)
    except RuntimeError as error:  # what cannot be captured, or no memory for it
        log.info("%s runs without a CUDA graph: %s", component.name, str(error).splitlines()[0])
        if is_out_of_memory(error):
            component.captured.clear()
        torch.cuda.synchronize(component.device)
        return None, wanted
    pairs = zip(tree_flatten(wanted)[0], tree_flatten(found)[0], strict=True)
    if all(torch.equal(one, other) for one, other in pairs if isinstance(one, torch.Tensor)):
        log.info("%s runs as a CUDA graph", component.name)
        return graph, wanted
    log.warning("%s runs without a CUDA graph: its results differ", component.name)
    return None, wanted


class _Graph:
    """One captured call, its inputs' places and its outputs'."""

    def __init__(self, device: torch.device, forward: Callable[..., Any], leaves: list[Any], structure: Any) -> None:
        self._inputs = [_placed(leaf, device) for leaf in leaves]
        arguments, named = tree_unflatten(self._inputs, structure)
        self._graph = torch.cuda.CUDAGraph()
        self._stream: Any = torch.cuda.current_stream(device)
        torch.cuda.synchronize(device)
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"), device_watched():
            self._result = forward(*arguments, **named)

    def replay(self, leaves: list[Any]) -> Any:
        """What the call returns for other tensors of the same kinds."""
        for place, leaf in zip(self._inputs, leaves, strict=True):
            if isinstance(leaf, torch.Tensor):
                place.copy_(leaf, non_blocking=True)
        with device_watched():
            self._stream.query()  # raises where the device is lost; a replay would crash the process then
        self._graph.replay()
        results, structure = tree_flatten(self._result)
        # the next replay writes over these
        return tree_unflatten([one.clone() if isinstance(one, torch.Tensor) else one for one in results], structure)


def _placed(leaf: Any, device: torch.device) -> Any:
    return leaf.detach().to(device, copy=True) if isinstance(leaf, torch.Tensor) else leaf


def _kind(leaf: Any) -> object:
    """What of an argument decides whether a graph fits: of a tensor its shape, of anything else itself."""
    if isinstance(leaf, torch.Tensor):
        return tuple(leaf.shape), leaf.stride(), leaf.dtype
    return leaf if isinstance(leaf, str | int | float | bool | type(None)) else id(leaf)
