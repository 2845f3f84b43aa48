"""Picture files: their names, writing them so that no half file is ever seen, and reading ours back."""

import errno
import os
import re
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from tui.library.folders import make_folder, sync_folder
from tui.library.full_disk import is_full
from tui.library.metadata import OWN_KEY, PARAMETERS_KEY, Making, own_text, parameters_text, read_own_text
from tui.library.picture_texts import (
    IMAGE_DESCRIPTION,
    USER_COMMENT,
    encode_comment,
    own_part,
    packed_text,
    read_texts,
)
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem

FORMATS: Final = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
"""What Pillow calls a format, by the ending of a file's name."""

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
        return folder / f"{job.file_stem}{number}.{job.format or 'png'}"
    return folder / f"{stem_of(job, submitted)}-{job.seed_of(index)}-{job.id}.{job.format or 'png'}"


def output_problem(folder: Path) -> Problem | None:
    """Why no picture can be written to `folder` now; None when one can."""
    try:
        make_folder(folder)
        free = os.statvfs(folder)
    except OSError as error:
        return write_problem(error, folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if free.f_flag & os.ST_RDONLY else errno.EACCES
        return write_problem(OSError(code, os.strerror(code)), folder)
    if free.f_bavail * free.f_frsize < LOW_DISK:
        return _disk_full(folder, f"has less than {LOW_DISK >> 20} MiB left")
    return None


def write_problem(error: OSError, folder: Path) -> Problem:
    """A failed write in words."""
    if is_full(error.errno):
        return _disk_full(folder, "is full")
    return Problem(
        code="output_unwritable",
        cause=f"No picture can be written to {folder}: {error.strerror}.",
        hint="Make the folder writable, or set output_folder to another one.",
    )


def _disk_full(folder: Path, how: str) -> Problem:
    return Problem(
        code="disk_full",
        cause=f"The disk that holds {folder} {how}.",
        hint="Free some space; waiting jobs go on by themselves.",
    )


def save_picture(image: Image.Image, path: Path, making: Making) -> None:
    """Write `image` with its metadata, in the format of its name: to a temporary name, synced, then renamed.

    What is transparent in it becomes white in a JPEG, which has no transparency.

    Raises:
        LatenttyError: "disk_full" or "output_unwritable"; no temporary file stays.
    """
    options = _options(path, making)
    if options["format"] == "JPEG" and image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    for attempt in range(TRIES):
        try:
            _write(image, path, options)
        except FileNotFoundError as error:  # someone removed the folder meanwhile; it is made again
            if attempt == TRIES - 1:
                raise LatenttyError(write_problem(error, path.parent)) from None
        except OSError as error:
            raise LatenttyError(write_problem(error, path.parent)) from None
        else:
            return


def _options(path: Path, making: Making) -> dict[str, Any]:
    """What Pillow is told, by the ending of the file's name: the format, how it is packed, and the texts.

    PNG has a chunk for each text. JPEG and WEBP have A1111's in the EXIF comment, where others look for it, and ours,
    deflated, in JPEG's own comment or another EXIF tag.
    """
    kind = FORMATS[path.suffix.lower().lstrip(".")]
    if kind == "PNG":
        chunks = PngInfo()
        chunks.add_itxt(PARAMETERS_KEY, parameters_text(making))
        chunks.add_itxt(OWN_KEY, own_text(making))
        return {"format": kind, "pnginfo": chunks, "compress_level": PNG_LEVEL}
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[USER_COMMENT] = encode_comment(parameters_text(making))
    if kind == "WEBP":
        exif[IMAGE_DESCRIPTION] = packed_text(own_text(making))
        return {"format": kind, "exif": exif, "quality": making.job.quality}
    comment = packed_text(own_text(making)).encode()
    return {"format": kind, "exif": exif, "comment": comment, "quality": making.job.quality, "subsampling": 0}


def _write(image: Image.Image, path: Path, options: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.stem[-80:]}.part")
    make_folder(path.parent)
    try:
        with temporary.open("wb") as file:
            image.save(file, **options)
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
        return read_own_text(own_part(read_texts(path).texts))
    except (LatenttyError, msgspec.DecodeError):
        return None


def already_saved(path: Path, job: Job, index: int) -> bool:
    """Whether an earlier attempt at `job` left picture `index` at `path`."""
    making = read_making(path)
    return making is not None and (making.job.id, making.index) == (job.id, index)
