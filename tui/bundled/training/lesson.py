"""What all smaller lessons have in common: a time, a rate that falls, an optimiser, a log, averaged weights."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import torch

from tui.bundled.training.averages import Average
from tui.bundled.training.effort import Effort
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.rates import rate_at

TELL_EVERY: Final = 100
"""Steps between two lines of the log."""


def learn(
    parameters: Sequence[torch.nn.Parameter],
    loss: Callable[[], torch.Tensor],
    *,
    rate: float,
    until: float,
    effort: Effort,
    log: ProgressLog,
    decay: float = 0.998,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.99),
    limit: Callable[[], None] | None = None,
) -> int:
    """Make `loss` of fresh batches smaller for a time; the steps made. `parameters` end as their average.

    Args:
        parameters: what learns, all on one device.
        loss: draws a batch and says how wrong the model is, as one number.
        rate: the highest learning rate.
        until: when it ends, as `time.time()` tells it.
        effort: may end it after some steps.
        log: told how it goes.
        decay: of the average.
        weight_decay: how much weights are drawn towards 0.
        betas: of Adam's averages.
        limit: called with gradients there, before each step.
    """
    optimiser = torch.optim.AdamW(
        list(parameters), lr=rate, betas=betas, weight_decay=weight_decay, fused=parameters[0].is_cuda
    )
    average = Average(parameters, decay)
    losses: list[torch.Tensor] = []
    begun, step = time.time(), 0
    span = max(1.0, until - begun)
    while (progress := effort.progress((time.time() - begun) / span, step)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * rate_at(progress, step, hold=0.5)
        told = loss()
        torch.autograd.backward(told)
        if limit is not None:
            limit()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.follow(step)
        losses.append(told.detach())
        step += 1
        if step % TELL_EVERY == 0:
            log(f"step {step}, loss {float(torch.stack(losses).mean()):.4f}, progress {progress:.3f}")
            losses = []
    average.keep()
    log(f"taught, {step} steps")
    return step
