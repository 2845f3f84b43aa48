"""A picture in a pane, as large as fits, its aspect ratio kept."""

from typing import Final

from PIL import Image
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui.widgets.spot import Spot, pictures_of

REST: float = 0.15
"""Seconds without a change of size after which the picture is sent for the new one."""

DIM: Final = Style(dim=True)


class PictureView(Widget):
    """Shows one picture, centred, in the best way that the terminal has."""

    def __init__(
        self,
        *,
        empty: str = "",
        id: str | None = None,  # noqa: A002 - Textual's name
        classes: str | None = None,
    ) -> None:
        """`empty` stands in the middle while there is no picture."""
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._image: Image.Image | None = None
        self._live = False
        self._most: tuple[int, int] | None = None
        self._spot: Spot | None = None
        self._settling: Timer | None = None

    @property
    def image(self) -> Image.Image | None:
        """What is shown."""
        return self._image

    @property
    def pixels(self) -> tuple[int, int]:
        """The most pixels, across and down, that the pane can show; more need not be fetched."""
        pictures = pictures_of(self)
        width, height = pictures.cell if pictures.shows_pixels else (2, 4)
        return self.size.width * width, self.size.height * height

    @property
    def dots(self) -> tuple[int, int]:
        """How many pixels the pane shows, across and down, one for one."""
        pictures = pictures_of(self)
        width, height = pictures.cell if pictures.shows_pixels else (1, 2)
        return self.size.width * width, self.size.height * height

    def show(self, image: Image.Image | None, *, live: bool = False, most: tuple[int, int] | None = None) -> None:
        """Show `image` from now on, or nothing; `live` frames are followed by others soon.

        It fills the pane, or as many of its dots, across and down, as `most` says.
        """
        before = self._spot_size() if self._image is not None else (0, 0)
        self._image, self._live, self._most = image, live, most
        if self._spot is not None:
            self._spot.show(image, self._room, live=live)
            if image is None or self._spot_size() != before:
                self.refresh()

    def on_mount(self) -> None:
        """Now there is an app to show pictures."""
        self._spot = Spot(self)
        self.show(self._image, live=self._live, most=self._most)

    def on_unmount(self) -> None:
        """The terminal need keep nothing."""
        if self._spot is not None:
            self._spot.close()

    def on_resize(self) -> None:
        """At once as well as goes, and anew after a rest."""
        if self._spot is None or self._image is None:
            return
        first = self._spot_size() == (0, 0)
        self._spot.fit(self._room)
        self.refresh()
        if self._settling is not None:
            self._settling.stop()
        if first:
            self._settle()
        else:
            self._settling = self.set_timer(REST, self._settle)

    def render_line(self, y: int) -> Strip:
        """One line of the picture."""
        width = self.size.width
        spot = self._spot
        if self._image is None and y == self.size.height // 2:
            return Strip([Segment(self._empty.center(width)[:width], self.rich_style + DIM)], width)
        if spot is None or self._image is None or not 0 <= y - spot.offset.y < spot.area.rows:
            return Strip([self._blank(width)], width)
        left, columns = spot.offset.x, spot.area.columns
        segments = [self._blank(left), *spot.line(y - spot.offset.y), self._blank(width - left - columns)]
        return Strip(segments, width).apply_style(self.rich_style.background_style)

    def _settle(self) -> None:
        if self._spot is not None:
            self._spot.show(self._image, self._room, live=self._live)

    @property
    def _room(self) -> Region:
        width, height = self.size
        if self._most is None or not width or not height:
            return Region(0, 0, width, height)
        across, down = self.dots
        columns = min(max(-(-self._most[0] * width // across), 1), width)
        rows = min(max(-(-self._most[1] * height // down), 1), height)
        return Region((width - columns) // 2, (height - rows) // 2, columns, rows)

    def _spot_size(self) -> tuple[int, int]:
        return (self._spot.area.columns, self._spot.area.rows) if self._spot is not None else (0, 0)

    def _blank(self, width: int) -> Segment:
        return Segment(" " * width, self.rich_style)
