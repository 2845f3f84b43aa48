"""What a picture's file may claim before memory is spent on it."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

FORMATS: Final = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
"""That are opened at all, by Pillow's names: it knows many more, one of which starts a program of its own."""

MAX_PACKED: Final = 64 << 20
"""Bytes of a file in one of those formats whose readers go through all of it, or take all of it into memory, to open
it; the rest of a hostile one may be a hole that takes no room on the disk."""

LARGE_FORMATS: Final = ("PNG", "BMP", "TIFF")
"""The formats of larger files."""

MAX_PIXELS: Final = 128_000_000
"""Of a picture that is decoded; it then takes half a gigabyte."""

FREE_PIXELS: Final = 32 << 20
"""That any file may claim, however few bytes it has: flat pictures of every format shrink to almost nothing."""

PIXELS_PER_BYTE: Final = 256
"""Beyond those; drawings have about 20, photographs 1 to 10."""

DEFLATED: Final = 1032
"""Bytes that one byte of a PNG can become."""

BYTES_PER_PIXEL: Final = {"1": 1 / 8, "P": 1 / 8, "LA": 2, "I;16": 2, "I;16B": 2, "RGB": 3, "RGBA": 4}
"""Of a PNG, by Pillow's mode, at the least; one in the others."""

JPEG_PIXELS_PER_BYTE: Final = 1024
"""Of a JPEG: a block of 64 takes half a bit at the least."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture at `path`, not decoded yet, but sure to cost no more than its bytes are worth when it is.

    Raises:
        ValueError: it claims more than that, or is damaged in a way that Pillow has no better error for.
        OSError: it is gone, or no picture.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
        raise ValueError("it is no ordinary file")
    try:
        with Image.open(path, formats=FORMATS if found.st_size <= MAX_PACKED else LARGE_FORMATS) as image:
            check_claims(image, found.st_size)
            yield image
    except RuntimeError as error:  # AVIF's decoder
        raise ValueError(str(error)) from None


def check_claims(image: Image.Image, size: int) -> None:
    """Nothing, when a file of `size` bytes, opened as `image` and not yet decoded, is worth what its header claims.

    Raises:
        ValueError: it cannot hold it, or decoding it would cost more than so few bytes may.
    """
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ValueError(f"it has {image.width}×{image.height} pixels")
    most = {"PNG": size * DEFLATED / BYTES_PER_PIXEL.get(image.mode, 1), "JPEG": size * JPEG_PIXELS_PER_BYTE}
    if pixels > most.get(image.format or "", MAX_PIXELS):
        raise ValueError(f"it claims {image.width}×{image.height} pixels, more than its bytes can hold")
    if pixels > max(FREE_PIXELS, size * PIXELS_PER_BYTE):
        raise ValueError(f"it has {image.width}×{image.height} pixels in only {size} bytes")
