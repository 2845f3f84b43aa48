"""Compiles what each step does, and goes on without where that fails."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from tui.bundled.training.progress_log import ProgressLog

Given = ParamSpec("Given")
Made = TypeVar("Made")


def compiled(
    function: Callable[Given, Made],
    rehearse: Callable[[Callable[Given, Made]], None],
    wanted: bool,
    log: ProgressLog,
) -> Callable[Given, Made]:
    """`function` compiled, if that is `wanted` and `rehearse` can run it; else itself, and the log says why."""
    if not wanted:
        return function
    fast: Callable[Given, Made] = torch.compile(function)
    try:
        rehearse(fast)
    except Exception as error:  # noqa: BLE001 - compilers fail in every way there is
        log(f"COMPILING FAILED, GOING ON WITHOUT: {type(error).__name__}: {str(error)[:600]}")
        torch._dynamo.reset()
        return function
    log("compiled")
    return fast
