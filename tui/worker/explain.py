"""Exceptions of torch, diffusers and their kin as problems that a user can act on."""

import traceback
from pathlib import Path

from tui.library.pictures import write_problem
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.memory import is_out_of_memory


def explain(error: BaseException, doing: str) -> Problem:
    """`error`, which happened while `doing` something, as text; the exception, which pins tensors, can be dropped."""
    if isinstance(error, LatenttyError):
        return error.problem
    if is_out_of_memory(error):
        return Problem(
            code="out_of_memory",
            cause=f"Memory ran out while {doing}.",
            hint="Try a smaller size, or unload other models.",
        )
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return write_problem(error, Path(error.filename).parent)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({last[0].name}, {Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    return Problem(
        code="internal",
        cause=f"{type(error).__name__} while {doing}: {error}{where}",
        hint="latentty engine logs has the whole story.",
    )
