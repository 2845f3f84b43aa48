"""What a picture's file may claim before memory is spent on it."""

from pathlib import Path
from typing import Final

from PIL import Image

MAX_PIXELS: Final = 200_000_000
"""Of a picture that is decoded."""

MAX_PIXELS_PER_BYTE: Final = {"PNG": 8 * 1032, "JPEG": 1024}
"""By format: deflate makes at most 1032 bytes of one, and a pixel takes a bit; a JPEG's block of 64 takes half a bit.
A flat WEBP of any size may be a few bytes."""


def check_claims(image: Image.Image, path: Path) -> None:
    """Nothing, when the file at `path`, opened as `image` and not yet decoded, can hold what its header claims.

    Raises:
        ValueError: it cannot, or it is larger than any picture that we decode.
        OSError: the file is gone.
    """
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ValueError(f"it has {image.width}×{image.height} pixels")
    ratio = MAX_PIXELS_PER_BYTE.get(image.format or "")
    if ratio is not None and pixels > ratio * path.stat().st_size:
        raise ValueError(f"it claims {image.width}×{image.height} pixels, more than its bytes can hold")
