"""Thousands of small pictures in rows: only those that are seen are known, fetched and drawn."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from msgspec import Struct
from PIL import Image
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from tui.library.plain_text import plain
from tui.terminal.half_blocks import fit, half_blocks, in_palette
from tui.terminal.quadrants import quadrants
from tui.widgets.spot import Spot, Spots, pictures_of

WIDTHS: Final = (10, 16, 24, 36, 54)
"""Columns of a tile, from small to large."""

WIDE: Final = 160
"""Columns from which on the tiles of a grid that is filled are larger, until the user says otherwise."""

MOST_CUT: Final = 24
"""Columns of a tile from which on half blocks are fine enough, and sooner drawn than quarters."""

REST: Final = 0.3
"""Seconds without scrolling after which pixels are sent that lie over cells: they cannot be scrolled."""

LONGEST: Final = 4.0
"""Seconds that those of all tiles in sight may take; on a slower line the pictures stay text."""

BYTES_PER_PIXEL: Final = 0.4
"""Of such a picture, roughly."""

Lines = list[list[Segment]]


class Tile(Struct, frozen=True):
    """What is told about one place in the grid."""

    key: int
    """Of the picture; 0 while it has none."""
    caption: str
    marks: str = ""
    """Letters before the caption, such as a star."""


class PictureGrid(ScrollView, can_focus=True):
    """A cursor, a selection, and tiles that whoever owns the grid supplies when they come into sight."""

    COMPONENT_CLASSES = {"picture-grid--cursor", "picture-grid--selected", "picture-grid--caption"}
    DEFAULT_CSS = """
    PictureGrid { scrollbar-size-vertical: 1; overflow-x: hidden; }
    PictureGrid > .picture-grid--caption { color: $text-muted; }
    PictureGrid > .picture-grid--selected { color: $accent; text-style: bold; }
    PictureGrid > .picture-grid--cursor { background: $accent; color: $background; text-style: bold; }
    """
    BINDINGS = [
        Binding("left,h", "move(-1, 0)", "Left", show=False, id="grid.left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, id="grid.right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, id="grid.up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, id="grid.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="grid.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="grid.page_down"),
        Binding("home,g", "end(0)", "First", show=False, id="grid.first"),
        Binding("end,G", "end(1)", "Last", show=False, id="grid.last"),
        Binding("enter", "open", "Open", show=False, id="grid.open"),
        Binding("plus", "zoom(1)", "Larger", show=False, id="grid.larger"),
        Binding("minus", "zoom(-1)", "Smaller", show=False, id="grid.smaller"),
    ]

    cursor: reactive[int] = reactive(0, init=False, repaint=False)
    """The place under the cursor, from 0."""

    class Seen(Message):
        """Other places are in sight; those from `first` up to `last`, not included, are wanted."""

        def __init__(self, first: int, last: int) -> None:
            super().__init__()
            self.first, self.last = first, last

        def can_replace(self, message: Message) -> bool:
            """Only the newest matters."""
            return isinstance(message, PictureGrid.Seen)

    class Moved(Message):
        """The cursor is elsewhere."""

    class Opened(Message):
        """The tile under the cursor was chosen."""

    def __init__(self, *, columns: int = 0, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """`columns` fixes how many tiles a row has; 0: as many as fit."""
        super().__init__(id=id)
        self._fixed = columns
        self._zoom: int | None = 2 if columns else None
        self._count = 0
        self._tiles: dict[int, Tile] = {}
        self._places: dict[int, int] = {}
        """Of the tiles, by key."""
        self._images: dict[int, Image.Image] = {}
        self._drawn: dict[tuple[int, int], Lines] = {}
        self._spots = Spots(self)
        """Of the pictures that the terminal shows in all their pixels, by key."""
        self._late: set[int] = set()
        """Pictures that are text and wait until the line has carried what is more urgent, by key."""
        self._carrying = asyncio.Lock()
        self._placed: dict[int, Region] = {}
        """Where they are, in the widget."""
        self._resting: Timer | None = None
        self._selected: frozenset[int] = frozenset()
        self._told = ""

    # ---- what is shown -----------------------------------------------------------------------------------------

    def show(self, count: int, tiles: dict[int, Tile], *, columns: int | None = None) -> None:
        """There are `count` places; `tiles` has those that are known, by place."""
        before, laid_out = self._tiles, (self._count, self.columns)
        self._count, self._tiles = count, tiles
        self._places = {tile.key: place for place, tile in tiles.items() if tile.key}
        if columns is not None:
            self._fixed = columns
        if (count, self.columns) != laid_out:
            self._lay_out()
            self.refresh()
        else:
            self._draw_again(place for place in range(*self.in_sight) if before.get(place) != tiles.get(place))
        self._arrange()
        self.cursor = max(0, min(self.cursor, count - 1))

    def tell(self, text: str) -> None:
        """What stands in the middle while there are no places."""
        if text != self._told:
            self._told = text
            self.refresh()

    def show_image(self, key: int, image: Image.Image) -> None:
        """The picture with that key looks so."""
        self._images[key] = image
        self._late.discard(key)
        self._drawn = {place: lines for place, lines in self._drawn.items() if place[0] != key}
        if key in self._places:
            self._draw_again([self._places[key]])
            self._arrange()

    async def bring(self, key: int, image: Image.Image) -> None:
        """The same, when the line has carried the pictures before it: as text it would come before the next keys."""
        pictures = pictures_of(self)
        if self.screen.is_active and (pictures.overlay or not pictures.shows_pixels):
            await self._carry(lambda: self.show_image(key, image))
        else:
            self.show_image(key, image)

    async def _carry(self, draw: Callable[[], None]) -> None:
        """Draw when the line has carried what was drawn before, and see when it has carried that."""
        async with self._carrying:
            pump = pictures_of(self).pump
            await pump.await_room()
            await pump.carry(draw, self.call_after_refresh)

    def hold_back(self) -> None:
        """Everything will be drawn anew: on a slow line without the pictures, which then follow."""
        if pictures_of(self).is_slow:
            self._late = set(self._images)
            self.refresh()

    def follow_up(self) -> None:
        """Bring the pictures that were held back one by one, once nothing else is drawn."""
        if self._late:
            self._follow_up()

    @work(group="late", exclusive=True)
    async def _follow_up(self) -> None:
        await asyncio.sleep(REST)
        for place in range(*self.in_sight):
            tile = self._tiles.get(place)
            if tile is not None and tile.key in self._late and self.screen.is_active:
                await self._carry(partial(self._draw_late, place, tile.key))

    def _draw_late(self, place: int, key: int) -> None:
        self._late.discard(key)
        self._draw_again([place])

    def keep_images(self, keys: Iterable[int]) -> None:
        """Forget the others."""
        kept = set(keys)
        self._images = {key: image for key, image in self._images.items() if key in kept}
        self._drawn = {place: lines for place, lines in self._drawn.items() if place[0] in kept}

    def select(self, keys: Iterable[int]) -> None:
        """Mark the pictures with these keys, and no others."""
        before, self._selected = self._selected, frozenset(keys)
        self._draw_again((self._places[key] for key in before ^ self._selected if key in self._places), picture=False)

    def has_image(self, key: int) -> bool:
        """Whether the picture was shown to the grid already."""
        return key in self._images

    @property
    def tile(self) -> Tile | None:
        """The tile under the cursor, when it is known."""
        return self._tiles.get(self.cursor)

    @property
    def _step(self) -> int:
        """Which of the widths tiles have: what the user said, or what suits the room."""
        return self._zoom if self._zoom is not None else 2 if self.size.width >= WIDE else 1

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return self._fixed or max(1, round(self.size.width / WIDTHS[self._step]))

    @property
    def tile_width(self) -> int:
        """Cells across one tile, with the gap to the next."""
        share = max(self.size.width, 4) // self.columns
        return max(min(WIDTHS[self._step], share), 6) if self._fixed else share

    @property
    def tile_height(self) -> int:
        """Cells down one tile, with its caption; no more than are seen."""
        return min((self.tile_width - 1) // 2 + 2, max(self.size.height, 4))

    @property
    def pixels(self) -> int:
        """The most pixels, across or down, that a tile can show."""
        pictures = pictures_of(self)
        return self.tile_width * (pictures.cell[0] if pictures.shows_pixels else 2)

    @property
    def in_sight(self) -> tuple[int, int]:
        """The first place that is seen, and the one after the last."""
        first = self.scroll_offset.y // self.tile_height
        last = -(-(self.scroll_offset.y + max(self.size.height, 1)) // self.tile_height)
        return min(first * self.columns, self._count), min(last * self.columns, self._count)

    def _lay_out(self) -> None:
        rows = -(-self._count // self.columns)
        self.virtual_size = Size(
            self.columns * self.tile_width if self._fixed else self.size.width, rows * self.tile_height
        )

    def on_resize(self) -> None:
        """Another number of tiles fits, of another height."""
        self._drawn.clear()
        self._lay_out()
        self._arrange()
        self._tell_sight()
        self.call_after_refresh(self._follow)

    def on_unmount(self) -> None:
        """The terminal need keep nothing."""
        self._spots.close()

    def _arrange(self) -> None:
        """Have the terminal show the pictures that are in sight: at once where they scroll with the text."""
        pictures = pictures_of(self)
        rooms = self._picture_rooms() if self.is_mounted and pictures.shows_pixels else {}
        if pictures.overlay and rooms != self._placed:
            if self._resting is not None:
                self._resting.stop()
            self._resting = self.set_timer(REST, self._lay_over)
            rooms = {key: room for key, room in rooms.items() if self._placed.get(key) == room}
        self._placed = rooms
        self._spots.arrange(rooms, self._images)

    def _lay_over(self) -> None:
        """Send the pixels of every tile that is seen whole, if the line carries them soon; until then it is text."""
        pictures = pictures_of(self)
        if not self.is_mounted or not pictures.overlay:
            return
        whole = Region(0, 0, *self.size)
        rooms = {key: room for key, room in self._picture_rooms().items() if whole.contains_region(room)}
        width, height = pictures.cell
        size = sum(room.area for room in rooms.values()) * width * height * BYTES_PER_PIXEL
        if pictures.pump.flow.seconds(int(size)) <= LONGEST:
            self._placed = rooms
            self._spots.arrange(rooms, self._images)

    def _picture_rooms(self) -> dict[int, Region]:
        """Where the pictures are that are there and in sight, in the widget, by key."""
        rooms = {}
        for place in range(*self.in_sight):
            tile, room = self._tiles.get(place), self._room(place).translate(-self.scroll_offset)
            picture = Region(room.x, room.y, self.tile_width - 1, self.tile_height - 2)
            if tile is not None and tile.key in self._images:
                rooms[tile.key] = picture
        return rooms

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell who owns the grid what is in sight."""
        super().watch_scroll_y(old_value, new_value)
        self.hold_back()
        self.follow_up()
        self._arrange()
        self._tell_sight()

    def _tell_sight(self) -> None:
        if self.is_mounted:
            self.post_message(self.Seen(*self.in_sight))

    def render_line(self, y: int) -> Strip:
        """One line through a row of tiles, or of what is told where there is none."""
        if not self._count:
            return self._empty_line(y)
        line = y + self.scroll_offset.y
        row, inside = divmod(line, self.tile_height)
        segments: list[Segment] = []
        for place in range(row * self.columns, (row + 1) * self.columns):
            segments += self._cells(place, inside) if place < self._count else [Segment(" " * self.tile_width)]
        strip = Strip(segments).crop(self.scroll_offset.x, self.scroll_offset.x + self.size.width)
        return strip.adjust_cell_length(self.size.width, self.rich_style).apply_style(self.rich_style)

    def _empty_line(self, y: int) -> Strip:
        lines = self._told.splitlines()
        place = y - max(self.size.height - len(lines), 0) // 2
        text = lines[place].center(self.size.width) if 0 <= place < len(lines) else ""
        style = self.rich_style + self.get_component_rich_style("picture-grid--caption")
        return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, style)

    def _cells(self, place: int, line: int) -> list[Segment]:
        """The cells of one line of one tile: the picture, its caption, and a gap."""
        width, tile = self.tile_width - 1, self._tiles.get(place)
        if line == self.tile_height - 1:
            return [Segment(" " * (width + 1))]
        if line < self.tile_height - 2:
            if tile is not None and (spot := self._spots.get(tile.key)) is not None and spot.is_there:
                return self._spot_cells(spot, line)
            pictures = pictures_of(self)
            as_text = not pictures.shows_pixels or pictures.overlay
            as_text = as_text and tile is not None and tile.key not in self._late
            drawn = self._picture(tile.key, width, self.tile_height - 2) if tile and as_text else None
            return [*drawn[line], Segment(" ")] if drawn else [self._empty(width, line), Segment(" ")]
        caption = f"{tile.marks + ' ' if tile.marks else ''}{plain(tile.caption)}" if tile is not None else ""
        chosen = tile is not None and tile.key in self._selected
        if chosen:
            caption = f"✓{caption}"
        cursor = place == self.cursor and self.has_focus
        if place == self.cursor:
            caption = f"›{caption}"
        if cell_len(caption) > width:
            caption = set_cell_size(caption, width - 1) + "…"
        name = "cursor" if cursor else "selected" if chosen else "caption"
        style = self.get_component_rich_style(f"picture-grid--{name}")
        return [*Strip([Segment(caption, style)]).adjust_cell_length(width, style), Segment(" ")]

    def _spot_cells(self, spot: Spot, line: int) -> list[Segment]:
        """The cells of one line of a tile whose picture the terminal has."""
        width, area = self.tile_width - 1, spot.area
        row, left = line - (self.tile_height - 2 - area.rows) // 2, (width - area.columns) // 2
        if not 0 <= row < area.rows:
            return [Segment(" " * (width + 1))]
        return [Segment(" " * left), *spot.line(row), Segment(" " * (width + 1 - left - area.columns))]

    def _empty(self, width: int, line: int) -> Segment:
        middle = line == (self.tile_height - 2) // 2
        return Segment(("·" if middle else "").center(width), Style(dim=True))

    def _picture(self, key: int, width: int, height: int) -> Lines | None:
        image = self._images.get(key)
        if image is None:
            return None
        found = self._drawn.get((key, width))
        if found is None:
            cell_width, cell_height = pictures_of(self).cell
            columns, rows = fit(*image.size, width, height, cell_height / cell_width)
            left, top = (width - columns) // 2, (height - rows) // 2
            blank = [Segment(" " * width)]
            cut = self._cut(width)
            middle = [
                [Segment(" " * left), *cells, Segment(" " * (width - columns - left))]
                for cells in cut(image, columns, rows)
            ]
            found = [blank] * top + middle + [blank] * (height - rows - top)
            self._drawn[key, width] = found
        return found

    def _cut(self, width: int) -> Callable[[Image.Image, int, int], Lines]:
        """How a picture of that width becomes cells."""
        terminal = pictures_of(self).terminal
        if terminal.mixes_colours:
            return in_palette
        return quadrants if terminal.is_known and width < MOST_CUT else half_blocks

    # ---- keys and mouse ----------------------------------------------------------------------------------------

    def watch_cursor(self, before: int, now: int) -> None:
        """Keep the cursor in sight."""
        self._follow()
        self._draw_again((before, now), picture=False)
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        """The cursor is drawn otherwise."""
        self._draw_again([self.cursor], picture=False)

    def on_blur(self) -> None:
        """The same."""
        self._draw_again([self.cursor], picture=False)

    def _follow(self) -> None:
        self.scroll_to_region(self._room(self.cursor), animate=False, immediate=True)

    def _room(self, place: int) -> Region:
        """Where the tile at `place` is, from the first row on."""
        row, column = divmod(place, self.columns)
        return Region(column * self.tile_width, row * self.tile_height, self.tile_width, self.tile_height)

    def _draw_again(self, places: Iterable[int], *, picture: bool = True) -> None:
        """Draw these tiles anew, or their captions alone: on a slow line, the whole grid takes seconds."""
        rooms = [self._room(place) for place in places]
        if not picture:
            rooms = [Region(room.x, room.bottom - 2, room.width, 1) for room in rooms]
        seen = self.scroll_offset
        if rooms:
            self.refresh(*(room.translate((-seen.x, -seen.y)) for room in rooms))

    def action_move(self, across: int, down: int) -> None:
        """Move the cursor by tiles."""
        goal = self.cursor + across + down * self.columns
        if 0 <= goal < self._count:
            self.cursor = goal
        elif down > 0 and self._count and self.cursor // self.columns < (self._count - 1) // self.columns:
            self.cursor = self._count - 1

    def action_page(self, by: int) -> None:
        """Move the cursor by as many rows as are seen."""
        rows = max(1, self.size.height // self.tile_height)
        self.cursor = max(0, min(self.cursor + by * rows * self.columns, self._count - 1))

    def action_end(self, which: int) -> None:
        """Go to the first or the last tile."""
        self.cursor = max(self._count - 1, 0) if which else 0

    def action_open(self) -> None:
        """Choose the tile under the cursor."""
        if self.tile is not None:
            self.post_message(self.Opened())

    def action_zoom(self, by: int) -> None:
        """Make the tiles larger or smaller."""
        self._zoom = max(0, min(self._step + by, len(WIDTHS) - 1))
        self._images.clear()
        self._drawn.clear()
        self._lay_out()
        self._follow()
        self.refresh()
        self._tell_sight()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; twice chooses."""
        offset = event.offset + self.scroll_offset
        column, row = offset.x // self.tile_width, offset.y // self.tile_height
        place = row * self.columns + column
        if column < self.columns and place < self._count:
            self.cursor = place
            if event.chain > 1:
                self.action_open()
