"""Pictures at the size that a screen can show, the small ones kept on the disk."""

import hashlib
import io
import os
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image, ImageOps

from tui.library.folders import make_folder
from tui.library.picture_bounds import opened
from tui.library.private_files import open_private
from tui.protocol.problem import LatenttyError, Problem

EDGES: Final = (128, 256)
"""Pixels along the longer side of what is kept."""

SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""What EXIF says of pictures whose width is seen as their height."""

MAX_BYTES: Final = 512 << 20
"""Bytes that may be kept; when there are more, what was made first goes."""


class Thumbnails:
    """A folder of small copies. All of it can be made again, so nothing here must last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def png(self, path: Path, width: int, height: int) -> bytes:
        """The picture at `path` as a PNG of at most `width` × `height` pixels, ratio kept, never enlarged.

        Raises:
            LatenttyError: the file is gone or no picture.
        """
        edge = next((edge for edge in EDGES if max(width, height) <= edge), None)
        if edge is None:
            return shrunk_png(path, width, height)
        kept = self._kept(path, edge)
        return shrunk_png(kept if kept is not None else path, width, height)

    def prune(self) -> None:
        """Remove the oldest until the rest is small enough."""
        if not self._folder.is_dir():
            return
        found = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(self._folder))
        surplus = sum(size for _, size, _ in found) - MAX_BYTES
        for _, size, path in found:
            if surplus <= 0:
                return
            Path(path).unlink(missing_ok=True)
            surplus -= size

    def _kept(self, path: Path, edge: int) -> Path | None:
        """The copy of `path` with that edge, made now when there is none; None where it cannot be kept."""
        try:
            found = path.stat()
        except OSError:
            return None  # the caller finds out the same, and tells
        told = f"{path}\0{found.st_mtime_ns}\0{found.st_size}\0{edge}"
        kept = self._folder / f"{hashlib.sha256(os.fsencode(told)).hexdigest()[:32]}.webp"
        if kept.exists():
            return kept
        small = _shrunk(path, edge, edge)
        temporary = kept.with_suffix(f".{os.urandom(4).hex()}.part")
        try:
            make_folder(self._folder, 0o700)
            with open(temporary, "wb", opener=open_private) as file:
                small.save(file, format="WEBP", quality=90, method=2)
            temporary.rename(kept)
        except OSError:  # a full disk shows pictures as well, only slower
            return None
        finally:
            temporary.unlink(missing_ok=True)
        return kept


def shrunk_png(path: Path, width: int, height: int) -> bytes:
    """The picture at `path` as a PNG of at most `width` × `height` pixels, aspect ratio kept, never enlarged.

    Raises:
        LatenttyError: the file is gone or no picture.
    """
    buffer = io.BytesIO()
    _shrunk(path, width, height).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _shrunk(path: Path, width: int, height: int) -> Image.Image:
    try:
        with opened(path) as image:
            if image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS:
                width, height = height, width
            image.thumbnail((max(width, 1), max(height, 1)), Image.Resampling.LANCZOS, reducing_gap=3.0)
            ImageOps.exif_transpose(image, in_place=True)
            return image.copy() if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise LatenttyError(
            Problem(
                code="not_found",
                cause=f"The picture {path} cannot be read: {error}.",
                hint="It may have been moved or removed.",
            )
        ) from None
