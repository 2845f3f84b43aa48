"""The one interface behind every way of showing pictures, and what it draws."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from PIL import Image
from rich.segment import Segment
from rich.style import Style

Lines = list[list[Segment]]
"""Rows of cells, as Textual draws them."""

PLAIN: Final = Style()
"""Of cells without colours: Textual asks every segment for its style where the user wants no colours at all."""

PIECE: Final = 4096
"""Characters of picture in one control string: what kitty takes, and small enough for keys to go between."""

_CHECK: Final = 8
"""Pixels of a square behind what is transparent."""


@dataclass(frozen=True)
class Area:
    """The cells that a picture fills, and what they are made of."""

    columns: int
    rows: int
    cell_width: int = 10
    """Pixels."""
    cell_height: int = 20
    """Pixels."""
    background: tuple[int, int, int] = (0, 0, 0)
    """The colour around the picture where it does not fill its cells to the last pixel."""

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.columns * self.cell_width, self.rows * self.cell_height


@dataclass(frozen=True)
class Piece:
    """Something to be sent as a whole."""

    text: str
    row: int | None = None
    """The row of the area that the cursor must be at the left of; None when it does not matter."""


@dataclass(frozen=True)
class Drawing:
    """A picture drawn for an area: pieces that go to the terminal, and the cells that stand there afterwards."""

    area: Area
    lines: Lines
    pieces: list[Piece] = field(default_factory=list)
    number: int = 0
    """What the terminal knows it by; 0 when it keeps nothing."""


class Writer(Protocol):
    """One way of putting pictures onto a terminal."""

    overlay: bool
    """Whether pictures lie over the cells, and are lost where text is drawn: they must then be sent again."""
    paced_by_lines: bool
    """Whether it is the cells themselves that carry the picture."""

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """`image` for `area`; with `live` small and quick, since the next one follows. Runs in any thread."""

    def move(self, drawing: Drawing, area: Area) -> Drawing | None:
        """The same picture for another area without sending it again; None when that cannot be."""

    def columns(self, before: Drawing | None, drawing: Drawing) -> int:
        """How many columns must be painted, from the left, so that `drawing` is seen where `before` was."""

    def is_painted(self, drawing: Drawing) -> bool:
        """Whether cells of `drawing` have been written since it was drawn."""

    def forget(self, drawing: Drawing) -> str:
        """What to send when `drawing` is no longer shown."""


class KeepsNothing:
    """What ways have in common by which the terminal keeps no picture."""

    def move(self, drawing: Drawing, area: Area) -> Drawing | None:
        """It must be drawn anew."""
        return None

    def columns(self, before: Drawing | None, drawing: Drawing) -> int:
        """All of them."""
        return drawing.area.columns

    def is_painted(self, drawing: Drawing) -> bool:
        """It does not matter."""
        return True

    def forget(self, drawing: Drawing) -> str:
        """Nothing is kept."""
        return ""


def flat(image: Image.Image) -> Image.Image:
    """`image` in RGB; what is transparent shows a checkerboard."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    solid = _checkerboard(*image.size)
    alpha = image.convert("RGBA")
    solid.paste(alpha, mask=alpha.getchannel("A"))
    return solid


def fitted(image: Image.Image, area: Area, *, enlarge: bool) -> Image.Image:
    """`image` in RGB within the area's pixels, aspect ratio kept."""
    width, height = area.pixels
    scale = min(width / image.width, height / image.height)
    if scale >= 1 and not enlarge:
        return flat(image)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    solid = flat(image)
    if size == image.size:
        return solid
    return solid.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def padded(image: Image.Image, area: Area) -> Image.Image:
    """`image` in the middle of exactly the area's pixels."""
    if image.size == area.pixels:
        return image
    width, height = area.pixels
    whole = Image.new("RGB", area.pixels, area.background)
    whole.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return whole


def _checkerboard(width: int, height: int) -> Image.Image:
    square = Image.new("L", (2, 2))
    square.putdata([102, 153, 153, 102])
    tile = square.resize((2 * _CHECK, 2 * _CHECK), Image.Resampling.NEAREST).convert("RGB")
    board = Image.new("RGB", (width, height))
    for top in range(0, height, tile.height):
        for left in range(0, width, tile.width):
            board.paste(tile, (left, top))
    return board
