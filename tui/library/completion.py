"""Completing a path while it is typed."""

import heapq
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from tui.library.listing import is_tellable
from tui.library.paths import expanded
from tui.protocol.paths import PathFound, PathKind

MOST: Final = 50
"""Paths that are offered."""

LOOKED_AT: Final = 20_000
"""Names in a folder that are looked at, in whatever order it has them."""


def complete_path(text: str, *, folders: bool = False) -> PathFound:
    """What the path `text` leads to, and the paths that begin like it; with `folders`, only folders.

    It is absolute or begins with `~`; any other leads nowhere.
    """
    path = expanded(text)
    if not path.is_absolute():
        return PathFound()
    if text.startswith("~") and "/" not in text:
        return PathFound(kind=_kind(path), completions=[f"{text}/"])
    head, slash, begun = text.rpartition("/")
    found = heapq.nsmallest(MOST, _names(expanded(head + slash), begun, folders=folders))
    return PathFound(kind=_kind(path), completions=[f"{head}{slash}{name}" for name in found])


def _kind(path: Path) -> PathKind:
    return "folder" if os.path.isdir(path) else "file" if os.path.exists(path) else ""  # noqa: PTH110, PTH112 - these never raise


def _names(folder: Path, begun: str, *, folders: bool) -> Iterator[str]:
    """The names in `folder` that begin so, folders' with a slash; hidden ones only where a dot was typed."""
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, LOOKED_AT):
                hidden = entry.name.startswith(".") and not begun
                if entry.name.startswith(begun) and not hidden and is_tellable(entry.name):
                    is_folder = entry.is_dir()
                    if is_folder or not folders:
                        yield f"{entry.name}/" if is_folder else entry.name
    except (OSError, ValueError):
        return  # no folder, or none that may be read: nothing is offered
