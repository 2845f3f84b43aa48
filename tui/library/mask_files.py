"""Masks that were painted: private files, named by what they hold."""

import errno
import hashlib
import io
from pathlib import Path

from PIL import Image

from tui.library.picture_bounds import check_claims
from tui.library.private_files import replace_file
from tui.protocol.problem import LatenttyError, Problem, bad_request


def store_mask(folder: Path, data: bytes) -> Path:
    """Keep the PNG `data` in `folder`; its file, the same one for the same mask.

    Raises:
        LatenttyError: it is no PNG, or cannot be written.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            check_claims(image, len(data))
            image.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise bad_request(f"The mask is no picture that can be used: {error}.") from None
    path = folder / f"mask-{hashlib.sha256(data).hexdigest()[:16]}.png"
    try:
        replace_file(path, data)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LatenttyError(
            Problem(
                code="disk_full" if full else "output_unwritable",
                cause=f"The mask cannot be saved in {folder}: {error.strerror}.",
                hint="Free some space and save it again." if full else "Make the folder writable and save it again.",
            )
        ) from None
    return path
