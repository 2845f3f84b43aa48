"""Picture files: their names, writing them so that no half file is ever seen, and reading ours back."""

import os
import re
import time
from pathlib import Path
from typing import Final

import msgspec
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from tui.library.folders import make_folder, sync_folder
from tui.library.metadata import OWN_KEY, PARAMETERS_KEY, Making, own_text, parameters_text, read_own_text
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem

MAX_SLUG: Final = 40
"""Bytes of the prompt in a file name."""

PNG_LEVEL: Final = 4
"""zlib level: half the time of Pillow's default for two per cent more bytes."""

TRIES: Final = 3
"""How often a picture is written whose folder vanishes meanwhile."""

LOW_DISK: Final = 64 << 20
"""Bytes that must be free before a picture is begun."""


def stem_of(job: Job, submitted: float) -> str:
    """The start of a job's file names, relative to its folder, such as "2026-11-23/141500-a-fox".

    `submitted` is seconds since the epoch. The result is fixed by the job, so that a second attempt finds the first's.
    """
    when = time.localtime(submitted)
    words = "-".join(re.findall(r"\w+", job.prompt.lower()))
    slug = words.encode()[:MAX_SLUG].decode(errors="ignore").rstrip("-_")
    return f"{time.strftime('%Y-%m-%d/%H%M%S', when)}{'-' if slug else ''}{slug}"


def picture_path(job: Job, index: int, submitted: float, pictures: Path) -> Path:
    """Where picture `index` of `job` belongs; `pictures` is the folder from the settings."""
    folder = Path(job.folder) if job.folder else pictures
    if job.file_stem:
        number = f"-{index + 1}" if job.count > 1 else ""
        return folder / f"{job.file_stem}{number}.png"
    return folder / f"{stem_of(job, submitted)}-{job.seed_of(index)}-{job.id}.png"


def output_problem(folder: Path) -> Problem | None:
    """Why no picture can be written to `folder` now; None when one can."""
    try:
        make_folder(folder)
        free = os.statvfs(folder)
    except OSError as error:
        return write_problem(error, folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        return write_problem(PermissionError(13, "Permission denied"), folder)
    if free.f_bavail * free.f_frsize < LOW_DISK:
        return _disk_full(folder)
    return None


def write_problem(error: OSError, folder: Path) -> Problem:
    """A failed write in words."""
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return _disk_full(folder)
    return Problem(
        code="output_unwritable",
        cause=f"No picture can be written to {folder}: {error.strerror}.",
        hint="Make the folder writable, or set output_folder to another one.",
    )


def _disk_full(folder: Path) -> Problem:
    return Problem(
        code="disk_full",
        cause=f"The disk that holds {folder} is full.",
        hint="Free some space; waiting jobs go on by themselves.",
    )


def save_picture(image: Image.Image, path: Path, making: Making) -> None:
    """Write `image` as a PNG with its metadata: to a temporary name, synced, then renamed.

    Raises:
        LatenttyError: "disk_full" or "output_unwritable"; no temporary file stays.
    """
    chunks = PngInfo()
    chunks.add_itxt(PARAMETERS_KEY, parameters_text(making))
    chunks.add_itxt(OWN_KEY, own_text(making))
    for attempt in range(TRIES):
        try:
            _write(image, path, chunks)
        except FileNotFoundError as error:  # someone removed the folder meanwhile; it is made again
            if attempt == TRIES - 1:
                raise LatenttyError(write_problem(error, path.parent)) from None
        except OSError as error:
            raise LatenttyError(write_problem(error, path.parent)) from None
        else:
            return


def _write(image: Image.Image, path: Path, chunks: PngInfo) -> None:
    temporary = path.with_name(f".{path.stem[-80:]}.part")
    make_folder(path.parent)
    try:
        with temporary.open("wb") as file:
            image.save(file, format="PNG", pnginfo=chunks, compress_level=PNG_LEVEL)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_making(path: Path) -> Making | None:
    """How the picture at `path` was made; None when the file is missing, unreadable or not ours."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if not isinstance(image, PngImageFile):
                return None
            return read_own_text(str(image.text[OWN_KEY]))
    except (OSError, KeyError, ValueError, SyntaxError, msgspec.DecodeError, Image.DecompressionBombError):
        return None


def already_saved(path: Path, job: Job, index: int) -> bool:
    """Whether an earlier attempt at `job` left picture `index` at `path`."""
    making = read_making(path)
    return making is not None and (making.job.id, making.index) == (job.id, index)
