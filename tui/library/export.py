"""Copies of pictures for elsewhere, with or without what they tell about their making."""

import shutil
from pathlib import Path

from PIL import Image

from tui.library.folders import make_folder
from tui.library.paths import expanded
from tui.library.picture_bounds import opened
from tui.library.pictures import write_problem
from tui.protocol.problem import LatenttyError, Problem, bad_request


def export_pictures(pictures: list[Path], folder: Path, *, metadata: bool) -> list[Path]:
    """Copy `pictures` into `folder`, under names that are free there; the paths of the copies.

    Raises:
        LatenttyError: the folder is no absolute path or cannot be written, or a picture is gone.
    """
    folder = expanded(folder)
    if not folder.is_absolute():
        raise bad_request(f"The folder {str(folder)!r} is not absolute.", "Begin it with / or ~.")
    try:
        make_folder(folder)
    except OSError as error:
        raise LatenttyError(write_problem(error, folder)) from None
    return [_export(picture, folder, metadata=metadata) for picture in pictures]


def _export(picture: Path, folder: Path, *, metadata: bool) -> Path:
    if not picture.is_file():
        raise LatenttyError(
            Problem(
                code="not_found",
                cause=f"The picture {picture} cannot be read.",
                hint="It may have been moved or removed.",
            )
        )
    goal = free_name(folder / picture.name)
    temporary = goal.with_name(f".{goal.stem[-80:]}.part")
    try:
        if metadata:
            shutil.copyfile(picture, temporary)
        else:
            _strip(picture, temporary)
        temporary.rename(goal)
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise bad_request(f"The picture {picture} cannot be read: {error}.") from None
    except OSError as error:
        raise LatenttyError(write_problem(error, folder)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return goal


def _strip(picture: Path, goal: Path) -> None:
    """Write the pixels of `picture` alone."""
    with opened(picture) as image:
        kind = image.format or "PNG"
        bare = image.convert("RGBA" if image.mode in ("RGBA", "LA", "PA") and kind != "JPEG" else "RGB")
        bare.info.clear()
        bare.save(goal, format=kind, **({} if kind == "PNG" else {"quality": 95}))


def free_name(path: Path) -> Path:
    """`path`, or the first of "name 2", "name 3" … that nothing has."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem} {number}{path.suffix}")
    return found
