"""Steps with fused kernels: the blocks that a denoiser repeats are compiled once and used for all of their kind.

Only on wish, for it takes long the first time. What inductor makes is kept in the cache folder (see :func:`keep_in`),
so that the next process finds it. Source: "regional compilation", https://pytorch.org/tutorials/recipes/regional_compilation.html
"""

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from tui.worker.component import Component
from tui.worker.conditioning import replaced

log = logging.getLogger(__name__)

VARIANTS: Final = 64
"""Compiled forms of one kind of block: one for each size that pictures and models have."""

Note = Callable[[str], None]
"""Told what the user should know of it."""


def keep_in(folder: Path) -> None:
    """Keep what is compiled in `folder`; only before anything has been."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    os.environ.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")


def repeated_blocks(module: nn.Module) -> list[nn.Module]:
    """The blocks of `module` that its class says it repeats; none where it says nothing."""
    kinds = getattr(module, "_repeated_blocks", None) or ()
    return [block for block in module.modules() if type(block).__name__ in kinds]


@contextmanager
def compiled(component: Component, note: Note) -> Iterator[None]:
    """While inside, the repeated blocks of the component's module run compiled, where the platform can.

    Without a compiler they run as ever, and that is noted; so is how long compiling took.
    """
    module: Any = component.module
    blocks: list[Any] = [] if component.refuses_compiling else repeated_blocks(module)
    if not blocks:
        yield
        return
    config: Any = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, VARIANTS)
    for block in blocks:
        block.compile(dynamic=False)
    component.compiled = True
    spent = _Spent()
    try:
        with replaced(module, "forward", _attempting(component, blocks, module.forward, note, spent)):
            yield
    finally:
        _undo(blocks)
        component.compiled = False
        if spent.seconds >= 1:
            note(f"its blocks were compiled in {spent.seconds:.0f} s, which later pictures of this size do not need")


class _Spent:
    """Seconds that calls took which compiled something."""

    def __init__(self) -> None:
        self.seconds = 0.0


def _attempting(
    component: Component, blocks: list[Any], forward: Callable[..., Any], note: Note, spent: _Spent
) -> Callable[..., Any]:
    @functools.wraps(forward)
    def call(*arguments: Any, **named: Any) -> Any:
        if component.refuses_compiling:
            return forward(*arguments, **named)
        begun, before = time.monotonic(), _graphs()
        try:
            result = forward(*arguments, **named)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            why = str(error).strip().splitlines()[0]
            log.warning("%s cannot be compiled: %s", component.name, why)
        else:
            spent.seconds += time.monotonic() - begun if _graphs() > before else 0.0
            return result
        component.refuses_compiling = True
        _undo(blocks)
        note(f"its blocks cannot be compiled here: {why}")
        return forward(*arguments, **named)

    return call


def _graphs() -> int:
    """How many graphs this process has compiled."""
    counters: Any = torch._dynamo.utils.counters
    return int(counters["stats"]["unique_graphs"])


def _undo(blocks: list[Any]) -> None:
    for block in blocks:
        block._compiled_call_impl = None
