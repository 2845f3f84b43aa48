"""Masks that were painted: private files, named by what they hold; those not finished by the picture below them."""

import hashlib
import io
import os
from pathlib import Path
from typing import Final

from PIL import Image

from tui.library.full_disk import is_full
from tui.library.picture_bounds import check_claims
from tui.library.private_files import replace_file
from tui.protocol.problem import LatenttyError, Problem, bad_request

MOST_DRAFTS: Final = 32
"""Masks not finished that are kept; of more, those left longest ago go."""


def store_mask(folder: Path, data: bytes) -> Path:
    """Keep the PNG `data` in `folder`; its file, the same one for the same mask.

    Raises:
        LatenttyError: it is no PNG, or cannot be written.
    """
    return _written(folder / f"mask-{hashlib.sha256(data).hexdigest()[:16]}.png", data)


def store_draft(folder: Path, picture: Path, data: bytes) -> Path:
    """Keep the PNG `data` in `folder` as the mask of `picture` that is not finished; its file.

    Raises:
        LatenttyError: it is no PNG, or cannot be written, or `picture` is gone.
    """
    path = _written(draft_of(folder, picture), data)
    drafts = sorted(folder.glob("draft-*.png"), key=lambda one: one.stat().st_mtime)
    for old in drafts[:-MOST_DRAFTS]:
        old.unlink(missing_ok=True)
    return path


def draft_of(folder: Path, picture: Path) -> Path:
    """Where the mask of `picture` that is not finished lies in `folder`, if there is one. Another picture has another.

    Raises:
        LatenttyError: `picture` is gone.
    """
    try:
        found = picture.stat()
    except OSError as error:
        raise bad_request(f"The picture {picture} cannot be read: {error.strerror}.") from None
    told = f"{picture}\0{found.st_mtime_ns}\0{found.st_size}"
    return folder / f"draft-{hashlib.sha256(os.fsencode(told)).hexdigest()[:16]}.png"


def _written(path: Path, data: bytes) -> Path:
    """`path`, where the PNG `data` is now."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            check_claims(image, len(data))
            image.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise bad_request(f"The mask is no picture that can be used: {error}.") from None
    try:
        replace_file(path, data)
    except OSError as error:
        full = is_full(error.errno)
        raise LatenttyError(
            Problem(
                code="disk_full" if full else "output_unwritable",
                cause=f"The mask cannot be saved in {path.parent}: {error.strerror}.",
                hint="Free some space and save it again." if full else "Make the folder writable and save it again.",
            )
        ) from None
    return path
