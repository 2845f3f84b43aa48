"""The last pictures in a row, newest first, as many as fit."""

from PIL import Image
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.terminal.half_blocks import fit
from tui.widgets.spot import Spots, pictures_of

GAP = 1


class PictureStrip(Widget):
    """Small pictures side by side."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._images: dict[int, Image.Image] = {}
        self._spots = Spots(self)

    @property
    def wanted(self) -> int:
        """How many pictures there is room for, all of them square."""
        height = self.size.height
        return max(self.size.width // (height * 2 + GAP), 0) if height else 0

    @property
    def pixels(self) -> int:
        """Pixels along the longer side of a picture; more need not be fetched."""
        pictures = pictures_of(self)
        return self.size.height * (pictures.cell[1] if pictures.shows_pixels else 4)

    def show(self, images: dict[int, Image.Image]) -> None:
        """Show `images` by picture id, in their order."""
        self._images = images
        self._arrange()

    def on_resize(self) -> None:
        """Find the places anew."""
        self._arrange()

    def on_unmount(self) -> None:
        """The terminal need keep nothing."""
        self._spots.close()

    def _arrange(self) -> None:
        """Give each picture its room; those that are there already are only moved."""
        if not self.is_mounted:
            return
        rooms = self._rooms()
        self._spots.arrange(rooms, self._images)
        self.refresh()

    def _rooms(self) -> dict[int, Region]:
        width, height = self.size
        cell_width, cell_height = pictures_of(self).cell
        rooms: dict[int, Region] = {}
        used = 0
        for number, image in self._images.items():
            columns, _ = fit(*image.size, height * 2, max(height, 1), cell_height / cell_width)
            if used + columns > width or not height:
                break
            rooms[number] = Region(used, 0, columns, height)
            used += columns + GAP
        return rooms

    def render_line(self, y: int) -> Strip:
        """One line through all of them."""
        segments: list[Segment] = []
        used = 0
        for spot in self._spots.values():
            inside = 0 <= y - spot.offset.y < spot.area.rows
            if inside and spot.area.columns:
                segments += [self._blank(spot.offset.x - used), *spot.line(y - spot.offset.y)]
                used = spot.offset.x + spot.area.columns
        segments.append(self._blank(max(self.size.width - used, 0)))
        return Strip(segments, self.size.width).apply_style(self.rich_style.background_style)

    def _blank(self, width: int) -> Segment:
        return Segment(" " * width, self.rich_style)
