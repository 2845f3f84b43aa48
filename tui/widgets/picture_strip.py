"""The last pictures in a row, newest first, as many as fit."""

from PIL import Image
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tui.terminal.half_blocks import fit, half_blocks

GAP = 1


class PictureStrip(Widget):
    """Small pictures side by side."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._images: dict[int, Image.Image] = {}

    @property
    def wanted(self) -> int:
        """How many pictures there is room for, all of them square."""
        height = self.size.height
        return max(self.size.width // (height * 2 + GAP), 0) if height else 0

    def show(self, images: dict[int, Image.Image]) -> None:
        """Show `images` by picture id, in their order."""
        self._images = images
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line through all of them."""
        width, height = self.size
        segments: list[Segment] = []
        used = 0
        for image in self._images.values():
            columns, rows = fit(*image.size, height * 2, height)
            if used + columns > width:
                break
            top = (height - rows) // 2
            inside = top <= y < top + rows
            segments += half_blocks(image, columns, rows)[y - top] if inside else [self._blank(columns)]
            segments.append(self._blank(GAP))
            used += columns + GAP
        return Strip([*segments, self._blank(max(width - used, 0))]).adjust_cell_length(width, self.rich_style)

    def _blank(self, width: int) -> Segment:
        return Segment(" " * width, self.rich_style)
