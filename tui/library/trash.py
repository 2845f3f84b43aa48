"""Pictures that were thrown away lie in a hidden folder beside their old place, so that moving them is a rename."""

from pathlib import Path
from typing import Final

from tui.library.folders import make_folder, sync_folder
from tui.library.pictures import write_problem
from tui.protocol.problem import LatenttyError

TRASH: Final = ".trash"


def trash_place(path: Path) -> Path:
    """Where the picture of `path` lies while it is thrown away."""
    return path.parent / TRASH / path.name


def place_now(path: Path, *, trashed: bool) -> Path:
    """Where the file is: its place, or the other one if a sudden end came between the move and its entry."""
    expected, other = (trash_place(path), path) if trashed else (path, trash_place(path))
    return other if not expected.exists() and other.exists() else expected


def move(path: Path, *, trashed: bool) -> None:
    """Move a picture into the trash or out of it; one that is there already, or gone, stays as it is.

    Raises:
        LatenttyError: the folder cannot be written.
    """
    start, goal = (path, trash_place(path)) if trashed else (trash_place(path), path)
    try:
        if start.exists() and not goal.exists():
            make_folder(goal.parent)
            start.rename(goal)
            sync_folder(goal.parent)
            sync_folder(start.parent)
    except OSError as error:
        raise LatenttyError(write_problem(error, goal.parent)) from None
