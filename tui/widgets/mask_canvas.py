"""A picture and the mask over it, painted on by keys and by mouse, at two pixels a cell."""

from typing import Final, Literal

from msgspec.structs import replace
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from textual import events
from textual.color import Color
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.library.mask import ANEW, HALF, KEPT, Box, Mask
from tui.protocol.job import Edges
from tui.terminal.half_blocks import half_blocks

ZOOMS: Final = (1, 2, 4, 8, 16)
DIMMED: Final = 0.4
"""How bright what is kept is shown, beside what is drawn anew."""

DASH: Final = 30
"""Degrees of the ring that shows the brush: all of them are drawn, or half."""

SMALL: Final = 1024
"""Pixels along the longer side from which the picture is drawn while its edges grow."""

MOST_GROWN: Final = 4096
GREYS: Final = ((96, 96, 96), (144, 144, 144))
"""What is not drawn yet is a chequered border, which is told from a picture without colours too."""

Shape = Literal["rectangle", "ellipse"]
Side = Literal["left", "top", "right", "bottom"]


class MaskCanvas(Widget, can_focus=True):
    """What is drawn anew shines in its own colours; what is kept is dark."""

    class Changed(Message):
        """The mask, the brush or the cursor changed."""

    def __init__(self, picture: Image.Image, mask: Mask, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._picture = picture.convert("RGB")
        self._seen: tuple[Box, tuple[int, int], Image.Image, Image.Image] | None = None
        """What was in sight last, bright and dark: painting changes the mask alone."""
        self._small: Image.Image | None = None
        self.growing = False
        """Whether edges are grown, not painted."""
        self.grow = Edges()
        self._grown: list[Edges] = []
        self.mask = mask
        self.cursor = (picture.width // 2, picture.height // 2)
        """The pixel that keys act on."""
        self.radius = max(min(picture.size) // 16, 1)
        self.value = ANEW
        self.zoom = 1
        self.pen = False
        """Whether moving the cursor paints."""
        self.begun: tuple[tuple[int, int], Shape] | None = None
        """Where a rectangle or an ellipse began."""
        self._strips: list[Strip] = []
        self._rows: list[bytes] = []
        """The dots of each strip."""
        self._laid: tuple[Size, int] | None = None
        """The size of the widget and the width of what was shown, when they were laid."""
        self._margin = 0
        """Columns left of the picture."""
        self._dragged: tuple[int, int] | None = None
        self._drawn_with = ANEW

    # ---- where things are --------------------------------------------------------------------------------------

    @property
    def _pixels_per_dot(self) -> float:
        """Pixels of the picture along one dot; a cell is one dot wide and two high."""
        columns, rows = max(self.size.width, 1), max(self.size.height, 1)
        return max(self._picture.width / columns, self._picture.height / (2 * rows)) / self.zoom

    @property
    def _view(self) -> tuple[Box, tuple[int, int]]:
        """The pixels that are seen, and how many dots they take."""
        scale = self._pixels_per_dot
        corners, dots = [], []
        spaces = (self.size.width, 2 * self.size.height)
        for size, at, space in zip(self._picture.size, self.cursor, spaces, strict=True):
            seen = min(size, max(round(space * scale), 1))
            first = min(max(at - seen // 2, 0), size - seen)
            corners.append((first, first + seen))
            dots.append(max(round(seen / scale), 1))
        (left, right), (top, bottom) = corners
        return (left, top, right, bottom), (dots[0], dots[1] + dots[1] % 2)

    def pixel_at(self, column: int, row: int) -> tuple[int, int]:
        """The pixel in the middle of a cell, or the one of the picture that is next to it."""
        (left, top, right, bottom), (across, down) = self._view
        column -= self._margin
        x = left + (column + 0.5) * (right - left) / across
        y = top + (2 * row + 1) * (bottom - top) / down
        return self._inside(int(x), int(y))

    def _inside(self, x: int, y: int) -> tuple[int, int]:
        return min(max(x, 0), self._picture.width - 1), min(max(y, 0), self._picture.height - 1)

    # ---- painting ----------------------------------------------------------------------------------------------

    def move(self, across: int, down: int) -> None:
        """Move the cursor by dots; with the pen down, paint on the way."""
        step = max(self._pixels_per_dot, 1)
        before = self.cursor
        self.cursor = self._inside(round(before[0] + across * step), round(before[1] + 2 * down * step))
        if self.pen:
            self.mask.brush([before, self.cursor], self.radius, self.value, goes_on=True)
        self.redraw()

    def dab(self) -> None:
        """Paint at the cursor."""
        self.mask.brush([self.cursor], self.radius, self.value)
        self.redraw()

    def toggle_pen(self) -> None:
        """Let moving paint, or no longer."""
        self.pen = not self.pen
        if self.pen:
            self.mask.brush([self.cursor], self.radius, self.value)
        self.redraw()

    def shape(self, shape: Shape) -> None:
        """Begin a rectangle or an ellipse at the cursor, or end the one that was begun."""
        if self.begun is None or self.begun[1] != shape:
            self.begun = self.cursor, shape
        else:
            box = (*self.begun[0], *self.cursor)
            self.begun = None
            (self.mask.rectangle if shape == "rectangle" else self.mask.ellipse)(box, self.value)
        self.redraw()

    def resize_brush(self, by: int) -> None:
        """A brush that is larger or smaller by a fifth."""
        change = max(self.radius // 5, 1)
        self.radius = min(max(self.radius + by * change, 0), max(self._picture.size))
        self.redraw()

    def change_zoom(self, by: int) -> None:
        """Closer, or further away."""
        place = min(max(ZOOMS.index(self.zoom) + by, 0), len(ZOOMS) - 1)
        self.zoom = ZOOMS[place]
        self.redraw()

    # ---- growing -----------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Pixels by which one key grows an edge: about a sixteenth of the picture, and what every model can draw."""
        return max(min(self._picture.size) // 16 // 8 * 8, 8)

    def grow_edge(self, side: Side, by: int) -> None:
        """Grow an edge by so many steps, or take it back."""
        pixels = min(max(getattr(self.grow, side) + by * self.step, 0), MOST_GROWN)
        self.set_edges(replace(self.grow, **{side: pixels}))

    def set_edges(self, edges: Edges) -> None:
        """Grow as far as `edges` says."""
        if edges != self.grow:
            self._grown.append(self.grow)
            self.grow = edges
        self.redraw()

    def undo_edges(self) -> bool:
        """Take the last change of the edges back; False when there is none."""
        if not self._grown:
            return False
        self.grow = self._grown.pop()
        self.redraw()
        return True

    @property
    def grown_size(self) -> tuple[int, int]:
        """Width and height with the grown edges."""
        width, height = self._picture.size
        return self.grow.left + width + self.grow.right, self.grow.top + height + self.grow.bottom

    def _with_edges(self) -> Image.Image:
        """All of it, as small as it is shown."""
        if self._small is None:
            self._small = self._picture.copy()
            self._small.thumbnail((SMALL, SMALL), reducing_gap=2.0)
        (width, height), (all_width, all_height) = self._picture.size, self.grown_size
        scale = max(all_width / max(self.size.width, 1), all_height / max(2 * self.size.height, 1))
        dots = max(round(all_width / scale), 1), max(round(all_height / scale), 1)
        shown = Image.new("RGB", (dots[0], dots[1] + dots[1] % 2), GREYS[0])
        draw = ImageDraw.Draw(shown)
        draw.point([(x, y) for y in range(shown.height) for x in range(shown.width) if (x // 2 + y // 2) % 2], GREYS[1])
        left, top = round(self.grow.left / scale), round(self.grow.top / scale)
        right = round((self.grow.left + width) / scale) if self.grow.right else shown.width
        bottom = round((self.grow.top + height) / scale) if self.grow.bottom else shown.height
        shown.paste(self._small.resize((max(right - left, 1), max(bottom - top, 1))), (left, top))
        return shown

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The left button paints, the right one erases."""
        if self.growing:
            return
        self.cursor = self._dragged = self.pixel_at(event.x, event.y)
        self._drawn_with = KEPT if event.button == 3 else self.value
        self.mask.brush([self.cursor], self.radius, self._drawn_with)
        self.capture_mouse()
        self.redraw()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Dragging paints a line."""
        if self._dragged is not None:
            self.cursor = self.pixel_at(event.x, event.y)
            self.mask.brush([self._dragged, self.cursor], self.radius, self._drawn_with, goes_on=True)
            self._dragged = self.cursor
            self.redraw()

    def on_mouse_up(self) -> None:
        """The stroke ends."""
        self._dragged = None
        self.release_mouse()

    def on_mouse_scroll_up(self) -> None:
        """Closer."""
        self.change_zoom(1)

    def on_mouse_scroll_down(self) -> None:
        """Further away."""
        self.change_zoom(-1)

    # ---- drawing -----------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """At the new size."""
        self.redraw()

    def redraw(self) -> None:
        """Draw what is seen."""
        if self.growing:
            shown = self._with_edges()
        else:
            box, dots = self._view
            bright, dark = self._in_sight(box, dots)
            mask = self.mask.image.resize(dots, Image.Resampling.BOX, box)
            shown = Image.composite(bright, dark, mask)
            shown.paste(Color.parse(self.app.theme_variables["accent"]).rgb, mask=_outline(mask))
            self._draw_marks(shown, box)
        self._lay(shown)
        self.post_message(self.Changed())

    def _lay(self, shown: Image.Image) -> None:
        """Put the dots of `shown` into cells; rows that are as they were stay: cells cost more than all the rest."""
        before, laid = self._laid, (self.size, shown.width)
        known = self._rows if laid == before else []
        width, pixels = shown.width, shown.tobytes()
        self._rows = [pixels[start : start + 6 * width] for start in range(0, len(pixels), 6 * width)]
        changed = [row for row, dots in enumerate(self._rows) if known[row : row + 1] != [dots]]
        strips = dict(enumerate(self._strips))
        for row in changed:
            (line,) = half_blocks(shown.crop((0, 2 * row, width, 2 * row + 2)), width, 1)
            strips[row] = Strip(line)
        self._strips = [strips[row] for row in range(len(self._rows))]
        self._margin, self._laid = max(self.size.width - width, 0) // 2, laid
        if laid != before or len(known) != len(self._rows):
            self.refresh()
        elif changed:
            self.refresh(*(Region(0, row, self.size.width, 1) for row in changed))

    def _in_sight(self, box: Box, dots: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
        if self._seen is None or self._seen[:2] != (box, dots):
            bright = self._picture.resize(dots, Image.Resampling.BOX, box)
            self._seen = box, dots, bright, bright.point(lambda level: int(level * DIMMED))
        return self._seen[2], self._seen[3]

    def _draw_marks(self, shown: Image.Image, box: Box) -> None:
        """The brush around the cursor, in dashes when it erases, or what was begun; seen on every colour."""
        scale = shown.width / (box[2] - box[0])
        marks = Image.new("1", shown.size)
        draw = ImageDraw.Draw(marks)
        x, y = ((self.cursor[0] + 0.5 - box[0]) * scale, (self.cursor[1] + 0.5 - box[1]) * scale)
        if self.begun is not None:
            left, top = ((self.begun[0][0] - box[0]) * scale, (self.begun[0][1] - box[1]) * scale)
            corners = (min(left, x), min(top, y), max(left, x), max(top, y))
            (draw.rectangle if self.begun[1] == "rectangle" else draw.ellipse)(corners, outline=1)
        else:
            reach = max(self.radius * scale, 1)
            for start in range(0, 360, DASH):
                end = start + (DASH if self.value == ANEW else DASH // 2)
                draw.arc((x - reach, y - reach, x + reach, y + reach), start, end, fill=1)
        draw.point((x, y), fill=1)
        shown.paste(shown.convert("L").point(lambda level: 0 if level > HALF else ANEW).convert("RGB"), mask=marks)

    def render_line(self, y: int) -> Strip:
        """One line of it."""
        if y < len(self._strips):
            whole = Strip.join([Strip.blank(self._margin, self.rich_style), self._strips[y]])
            return whole.adjust_cell_length(self.size.width, self.rich_style)
        return Strip.blank(self.size.width, self.rich_style)


def _outline(mask: Image.Image) -> Image.Image:
    """The dots around what is drawn anew, which on dark pictures tell it from the rest."""
    anew = mask.point(lambda grey: ANEW if grey >= HALF else KEPT)
    return ImageChops.subtract(anew.filter(ImageFilter.MaxFilter(3)), anew)
