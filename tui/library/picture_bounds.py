"""What a picture's file may claim before memory is spent on it."""

from pathlib import Path
from typing import Final

from PIL import Image

MAX_PIXELS: Final = 128_000_000
"""Of a picture that is decoded; it then takes half a gigabyte."""

DEFLATED: Final = 1032
"""Bytes that one byte of a PNG can become."""

BYTES_PER_PIXEL: Final = {"1": 1 / 8, "P": 1 / 8, "LA": 2, "I;16": 2, "I;16B": 2, "RGB": 3, "RGBA": 4}
"""Of a PNG, by Pillow's mode, at the least; one in the others."""

JPEG_PIXELS_PER_BYTE: Final = 1024
"""Of a JPEG: a block of 64 takes half a bit at the least."""


def check_claims(image: Image.Image, path: Path) -> None:
    """Nothing, when the file at `path`, opened as `image` and not yet decoded, can hold what its header claims.

    A flat WEBP of any size may be a few bytes, so of those only the largest are refused.

    Raises:
        ValueError: it cannot, or it is larger than any picture that we decode.
        OSError: the file is gone.
    """
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ValueError(f"it has {image.width}×{image.height} pixels")
    size = path.stat().st_size
    most = {"PNG": size * DEFLATED / BYTES_PER_PIXEL.get(image.mode, 1), "JPEG": size * JPEG_PIXELS_PER_BYTE}
    if pixels > most.get(image.format or "", MAX_PIXELS):
        raise ValueError(f"it claims {image.width}×{image.height} pixels, more than its bytes can hold")
