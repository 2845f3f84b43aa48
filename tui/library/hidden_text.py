"""The text that NovelAI and some extensions of A1111 hide in the lowest bits of a picture, where no website removes it.

Its bits run down each column: fifteen letters that say where it lies and whether it is deflated, its length in bits,
and the text. Source: https://github.com/neggles/sd-webui-stealth-pnginfo.
"""

import zlib
from pathlib import Path
from typing import Final

from PIL import Image

from tui.library.picture_bounds import opened
from tui.library.picture_texts import MAX_TEXT, inflated, unreadable

MARKS: Final = {
    b"stealth_pnginfo": ("A", False),
    b"stealth_pngcomp": ("A", True),
    b"stealth_rgbinfo": ("RGB", False),
    b"stealth_rgbcomp": ("RGB", True),
}
"""By its first letters: the channels that it lies in, and whether it is deflated."""

_BEGIN: Final = 15 + 4
"""Bytes of the mark and the length."""

MAX_PIXELS: Final = 1 << 25
"""Of a picture that is looked into."""

_LOWEST: Final = [255 * (value & 1) for value in range(256)]


def read_hidden_text(path: Path) -> str:
    """The text that is hidden in the picture at `path`; empty when there is none.

    Raises:
        LatenttyError: the picture cannot be decoded, or what is hidden in it is damaged.
    """
    try:
        with opened(path) as image:
            if image.format not in ("PNG", "WEBP") or image.width * image.height > MAX_PIXELS:
                return ""
            data, deflated = _hidden(image)
        return (inflated(data, zlib.MAX_WBITS | 32) if deflated else data).decode("utf-8", errors="replace")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable(path, f"its pixels are damaged ({error})") from None


def _hidden(image: Image.Image) -> tuple[bytes, bool]:
    """What is hidden, and whether it is deflated."""
    for channels in ("A", "RGB"):
        if image.mode not in ("RGBA", "RGB") or (channels == "A" and image.mode == "RGB"):
            continue
        begin = _bits(image, channels, 0, _BEGIN)
        found = MARKS.get(begin[:15])
        if found is not None and found[0] == channels:
            length = int.from_bytes(begin[15:], "big")
            if length % 8 or length // 8 > MAX_TEXT:
                raise ValueError(f"a text of {length} bits")
            data = _bits(image, channels, _BEGIN, length // 8)
            if len(data) < length // 8:
                raise ValueError("a text that is longer than the picture")
            return data, found[1]
    return b"", False


def _bits(image: Image.Image, channels: str, start: int, count: int) -> bytes:
    """`count` bytes from the byte `start` on, of the lowest bits down each column; fewer where the picture ends."""
    each = len(channels)
    columns = -(-(start + count) * 8 // (image.height * each))
    down = image.crop((0, 0, min(columns, image.width), image.height)).transpose(Image.Transpose.TRANSPOSE)
    values = (down.getchannel("A") if channels == "A" else down.convert("RGB")).tobytes()
    values = values[start * 8 : (start + count) * 8]
    values = values[: len(values) // 8 * 8]
    return Image.frombytes("L", (len(values), 1), values).point(_LOWEST, "1").tobytes() if values else b""
