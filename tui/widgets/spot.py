"""A rectangle inside a widget that shows one picture, whichever way this terminal has."""

from collections.abc import Callable, Mapping

from PIL import Image
from rich.segment import Segment
from textual.geometry import Offset, Region, Spacing
from textual.widget import Widget

from tui.terminal.half_blocks import fit
from tui.terminal.pictures import Pictures
from tui.terminal.writer import Area
from tui.widgets.picture_app import PictureApp


def pictures_of(widget: Widget) -> Pictures:
    """The pictures of the app that `widget` is in."""
    assert isinstance(widget.app, PictureApp)
    pictures: Pictures = widget.app.pictures
    return pictures


class Spot:
    """Fits a picture into the room it is given, and tells the terminal's pictures where that is."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._pictures = pictures_of(widget)
        self._slot = self._pictures.slot(self)
        self._image: Image.Image | None = None
        self._room = Region()
        self.offset = Offset(0, 0)
        """Of the first cell, in the widget."""
        self.area = Area(0, 0)

    @property
    def image(self) -> Image.Image | None:
        """What is shown."""
        return self._image

    def show(self, image: Image.Image | None, room: Region, *, live: bool = False) -> None:
        """Show `image` in the middle of `room` from now on, or nothing."""
        self._image = image
        if image is None:
            self._pictures.clear(self._slot)
            return
        self._place(image, room)
        if self.area.columns and self.area.rows:
            self._slot.show(image, self.area, live=live)

    def fit(self, room: Region) -> None:
        """The room is another: show what is there in it, as well as goes without sending much."""
        if self._image is not None:
            self._place(self._image, room)

    def close(self) -> None:
        """Show nothing ever again."""
        self._pictures.close(self._slot)

    @property
    def is_there(self) -> bool:
        """Whether the terminal has the picture, or an older one, in the size of now."""
        return self._slot.lines(self.area) is not None

    def line(self, row: int) -> list[Segment]:
        """The cells of one row of the area, from 0."""
        lines = self._slot.lines(self.area)
        if lines is None or not lines[row]:
            return [Segment(" " * self.area.columns, self._widget.rich_style)]
        return lines[row]

    def _place(self, image: Image.Image, room: Region) -> None:
        self._room = room
        columns, rows = 0, 0
        width, height = self._pictures.cell
        if self._pictures.overlay and self._widget.content_region.y + room.bottom >= self._widget.app.size.height:
            room = room.shrink(Spacing(bottom=1))  # some terminals scroll when a picture ends in their last row
        if room.width and room.height:
            columns, rows = fit(*image.size, room.width, room.height, height / width)
        background = self._widget.background_colors[1].rgb
        self.area = Area(columns, rows, width, height, background)
        self.offset = room.offset + Offset((room.width - columns) // 2, (room.height - rows) // 2)
        if columns:
            self._pictures.move(self._slot, self.area)

    # ---- what the slot asks ------------------------------------------------------------------------------------

    def is_seen(self) -> bool:
        """Whether the widget is on the screen that is shown, or on one that shines through a dialog."""
        widget = self._widget
        return widget.is_attached and widget.screen.is_active and bool(self._region)

    def is_covered(self) -> bool:
        """Whether a widget that is no parent lies over it, on this screen or a dialog over it."""
        region = self._region
        return any(other.overlaps(region) for other in self._over)

    def is_hidden(self) -> bool:
        """Whether one does that is as large, as on another screen that fills the terminal."""
        region = self._region
        return any(other.contains_region(region) for other in self._over)

    @property
    def _over(self) -> list[Region]:
        screen = self._widget.app.screen
        over = set(screen._compositor.visible_widgets) - set(self._widget.ancestors_with_self)
        return [widget.region for widget in over if widget is not screen]

    def origin(self) -> tuple[int, int]:
        """The column and row of the first cell on the terminal."""
        return self._region.x, self._region.y

    def repaint(self, first: int, last: int, columns: int | None = None) -> None:
        """Draw rows again, or the left of them."""
        left, top = self.offset
        self._widget.refresh(Region(left, top + first, columns or self.area.columns, last - first))

    def show_again(self) -> None:
        """In the place that it has with the cells of now."""
        if self._image is not None:
            wanted = self._slot.wanted
            self.show(self._image, self._room, live=wanted is not None and wanted.live)
            self._widget.refresh()

    def after_paint(self, call: Callable[[], object]) -> None:
        """Call back once it is painted."""
        if not self._widget.is_attached or not self._widget.call_after_refresh(call):
            call()

    @property
    def _region(self) -> Region:
        return Region(*(self._widget.content_region.offset + self.offset), self.area.columns, self.area.rows)


class Spots(dict[int, Spot]):
    """Several pictures in one widget, by their keys."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self._widget = widget

    def arrange(self, rooms: Mapping[int, Region], images: Mapping[int, Image.Image]) -> None:
        """Show each of `images` that has a room in it, in the rooms' order, and no other; what is there only moves."""
        for key in self.keys() - rooms.keys():
            self.pop(key).close()
        for key, room in rooms.items():
            spot = self.pop(key) if key in self else Spot(self._widget)
            self[key] = spot
            if spot.image is images[key]:
                spot.fit(room)
            else:
                spot.show(images[key], room)

    def close(self) -> None:
        """Show nothing any more."""
        for spot in self.values():
            spot.close()
        self.clear()
