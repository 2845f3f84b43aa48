"""Our own JSON: everything that decided the picture."""

import msgspec

from tui.library.metadata import Making
from tui.library.recall.found import Found

_NOT_TAKEN = frozenset({"id", "folder", "file_stem", "count", "format", "quality"})
"""Of this job alone: who makes the picture again has its own."""


def read_ours(making: Making, found: Found) -> None:
    """Fill `found` with the job that made the picture, as that one picture."""
    job = msgspec.to_builtins(making.job.picture(making.index))
    found.fields |= {name: value for name, value in job.items() if name not in _NOT_TAKEN}
    found.fields["seed"] = making.seed
