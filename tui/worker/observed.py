"""Progress, preview and cancel, hung on the one call that every family makes: its scheduler's `step`."""

import functools
import inspect
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn

from tui.protocol.events import Step
from tui.worker.cancel import CancelToken

PREVIEW_EVERY: Final = 0.1
"""Seconds between two preview frames at least."""

ShowStep = Callable[[int, dict[str, Any]], None]
"""Given the number of the step that is about to be taken, and the arguments of the scheduler's `step`."""


@contextmanager
def observed(
    scheduler: Any,
    progress: "Progress",
    token: CancelToken,
    tell: Callable[[Step], None],
    show: ShowStep,
) -> Iterator[None]:
    """While inside, each step of `scheduler` is told, shown now and then, and a place to stop at."""
    take_step = scheduler.step
    signature = inspect.signature(take_step)
    last_frame = 0.0

    @functools.wraps(take_step)  # pipelines look at the signature for `eta` and `generator`
    def step(*arguments: Any, **named: Any) -> Any:
        nonlocal last_frame
        token.check()
        given = signature.bind(*arguments, **named).arguments
        now = time.monotonic()
        if now - last_frame >= PREVIEW_EVERY:
            last_frame = now
            show(progress.done + 1, given)
        result = take_step(*arguments, **named)
        tell(progress.advance(given["timestep"]))
        token.check()
        return result

    scheduler.step = step
    try:
        yield
    finally:
        del scheduler.step


class Progress:
    """Counts the scheduler's own calls, which some schedulers make twice a step and img2img begins late."""

    def __init__(self, job_id: str, index: int, scheduler: Any) -> None:
        self._job_id = job_id
        self._index = index
        self._scheduler = scheduler
        self._total = 0
        self._begun = 0.0
        self.done = 0

    def begin(self, steps: int) -> Step:
        """Before the first step, while prompts are encoded."""
        return Step(job_id=self._job_id, index=self._index, step=0, steps=steps)

    def advance(self, timestep: Any) -> Step:
        """After one more call for `timestep`."""
        if self.done == 0:
            timesteps = [float(one) for one in self._scheduler.timesteps]
            at = float(torch.as_tensor(timestep).flatten()[0])
            self._total = len(timesteps) - (timesteps.index(at) if at in timesteps else 0)
            self._begun = time.monotonic()
        self.done += 1
        # the first step is left out of the average: it warms caches up
        average = (time.monotonic() - self._begun) / (self.done - 1) if self.done > 1 else 0.0
        steps = max(self._total, self.done)
        return Step(job_id=self._job_id, index=self._index, step=self.done, steps=steps, step_seconds=average)


@contextmanager
def interruptible(modules: Iterable[nn.Module], token: CancelToken) -> Iterator[None]:
    """While inside, `token` is looked at before every block of `modules`: a step of a large model takes seconds."""
    lists = (part for module in modules for part in module.modules() if isinstance(part, nn.ModuleList))
    blocks = {block for part in lists for block in part if block is not None}
    hooks = [block.register_forward_pre_hook(lambda *_: token.check()) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
