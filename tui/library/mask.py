"""A mask: what of a picture is drawn anew (white) and what is kept (black), and the ways to paint one."""

import io
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

KEPT: Final = 0
ANEW: Final = 255
HALF: Final = 128
"""From here on a grey counts as white where only one or the other is possible."""

MAX_UNDO: Final = 100
"""Changes that can be taken back; each is held compressed."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom pixel, all inside."""


class Mask:
    """A grey picture with a past. Every method that paints is one change, which one undo takes back."""

    def __init__(self, width: int, height: int) -> None:
        """All black: nothing is drawn anew."""
        self._image = Image.new("L", (width, height), KEPT)
        self._past: list[bytes] = []
        self._future: list[bytes] = []
        self.changes = 0
        """How often it became another."""

    @property
    def image(self) -> Image.Image:
        """The mask as it is, for looking at only."""
        return self._image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._image.size

    @property
    def share(self) -> float:
        """How much of the picture is drawn anew, from 0 to 1."""
        histogram = self._image.histogram()
        return sum(histogram[HALF:]) / max(sum(histogram), 1)

    # ---- painting ----------------------------------------------------------------------------------------------

    def brush(self, points: list[tuple[int, int]], radius: int, value: int = ANEW, *, goes_on: bool = False) -> None:
        """Draw a round brush of `radius` pixels through `points`; with `goes_on`, as part of the change before."""
        if not goes_on or not self._past:
            self._remember()
        self.changes += 1
        draw = ImageDraw.Draw(self._image)
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value)
        if len(points) > 1 and radius:
            draw.line(points, fill=value, width=2 * radius + 1)
        elif len(points) > 1:
            draw.line(points, fill=value)

    def rectangle(self, box: Box, value: int = ANEW) -> None:
        """Fill a rectangle."""
        self._remember()
        ImageDraw.Draw(self._image).rectangle(_ordered(box), fill=value)

    def ellipse(self, box: Box, value: int = ANEW) -> None:
        """Fill an ellipse that touches the sides of `box`."""
        self._remember()
        ImageDraw.Draw(self._image).ellipse(_ordered(box), fill=value)

    def fill(self, x: int, y: int, value: int = ANEW) -> None:
        """Fill the area around a pixel, up to where black meets white."""
        self._remember()
        self._image.paste(value, mask=_area(self._image, x, y))

    def invert(self) -> None:
        """Swap black and white."""
        self._change(ImageChops.invert)

    def clear(self) -> None:
        """All black again."""
        self._change(lambda image: Image.new("L", image.size, KEPT))

    def blur(self, radius: float) -> None:
        """Soften the edges."""
        self._change(lambda image: image.filter(ImageFilter.GaussianBlur(radius)))

    def paste(self, picture: Image.Image) -> None:
        """Become what `picture` shows in grey, brought to this size."""
        self._change(lambda mask: picture.convert("L").resize(mask.size, Image.Resampling.BILINEAR))

    # ---- the past ----------------------------------------------------------------------------------------------

    def undo(self) -> bool:
        """Take the last change back; False when there is none."""
        return self._go(self._past, self._future)

    def redo(self) -> bool:
        """Make the change again that was taken back last; False when there is none."""
        return self._go(self._future, self._past)

    def _change(self, change: Callable[[Image.Image], Image.Image]) -> None:
        self._remember()
        self._image = change(self._image)

    def _remember(self) -> None:
        self.changes += 1
        self._past.append(self._packed())
        del self._past[:-MAX_UNDO]
        self._future.clear()

    def _go(self, there: list[bytes], back: list[bytes]) -> bool:
        if not there:
            return False
        self.changes += 1
        back.append(self._packed())
        self._image = Image.frombytes("L", self._image.size, zlib.decompress(there.pop()))
        return True

    def _packed(self) -> bytes:
        return zlib.compress(self._image.tobytes(), 1)


def mask_png(image: Image.Image, most: int) -> bytes:
    """`image` as a PNG of at most `most` bytes; what does not fit, such as a photograph, is made smaller."""
    data = _png(image)
    while len(data) > most:
        image = image.reduce(2)
        data = _png(image)
    return data


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _ordered(box: Box) -> Box:
    left, top, right, bottom = box
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def _area(image: Image.Image, x: int, y: int) -> Image.Image:
    """White where `image` is, as far as one can go from a pixel without crossing an edge."""
    width, height = image.size
    sides = image.point(lambda grey: ANEW if grey >= HALF else KEPT).tobytes()
    wanted = sides[y * width + x : y * width + x + 1]
    other = bytes([ANEW - wanted[0]])
    found = bytearray(width * height)
    todo = [(x, y)]
    while todo:
        x, y = todo.pop()
        start, end = y * width, (y + 1) * width
        if found[start + x]:
            continue
        left = sides.rfind(other, start, start + x) + 1 or start
        right = sides.find(other, start + x, end)
        right = end if right < 0 else right
        found[left:right] = bytes([ANEW]) * (right - left)
        for row in (y - 1, y + 1):
            if 0 <= row < height:
                shift = (row - y) * width
                todo += [(place % width, row) for place in _runs(sides, wanted, other, left + shift, right + shift)]
    return Image.frombytes("L", image.size, bytes(found))


def _runs(sides: bytes, wanted: bytes, other: bytes, start: int, end: int) -> Iterator[int]:
    """The first place of each run of `wanted` between `start` and `end`."""
    place = sides.find(wanted, start, end)
    while place >= 0:
        yield place
        after = sides.find(other, place, end)
        place = sides.find(wanted, after, end) if after >= 0 else -1
