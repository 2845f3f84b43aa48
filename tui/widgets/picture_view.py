"""A picture in a pane, as large as fits, its aspect ratio kept."""

from PIL import Image
from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui.terminal.half_blocks import fit, half_blocks


class PictureView(Widget):
    """Shows one picture in half blocks, centred."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._image: Image.Image | None = None
        self._strips: list[Strip] = []
        self._drawn_for: tuple[int, Size] | None = None

    @property
    def image(self) -> Image.Image | None:
        """What is shown."""
        return self._image

    def show(self, image: Image.Image | None) -> None:
        """Show `image` from now on, or nothing."""
        self._image = image
        self._drawn_for = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the picture, drawn anew only when the picture or the size has changed."""
        key = (id(self._image), self.size)
        if key != self._drawn_for:
            self._strips, self._drawn_for = self._draw(), key
        return self._strips[y] if y < len(self._strips) else self._blank(self.size.width)

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if self._image is None or not width or not height:
            return []
        columns, rows = fit(*self._image.size, width, height)
        left, above = (width - columns) // 2, (height - rows) // 2
        lines = half_blocks(self._image, columns, rows)
        blank = self._blank(width)
        edges = self._segment(left), self._segment(width - columns - left)
        drawn = [Strip([edges[0], *line, edges[1]], width) for line in lines]
        return [blank] * above + drawn + [blank] * (height - rows - above)

    def _blank(self, width: int) -> Strip:
        return Strip([self._segment(width)], width)

    def _segment(self, width: int) -> Segment:
        return Segment(" " * width, self.rich_style)
