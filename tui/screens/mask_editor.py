"""The mask editor: what of a picture is drawn anew, and how far outpainting grows it."""

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

from msgspec import Struct
from PIL import Image
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from tui.client import Arrived
from tui.library.mask import ANEW, KEPT, Mask, mask_png
from tui.protocol.commands import MAX_MASK
from tui.protocol.job import Edges
from tui.protocol.problem import LatenttyError
from tui.screens.engine_screen import decoded, tell
from tui.screens.undo import undo_key
from tui.widgets.ask_line import AskLine
from tui.widgets.key_line import KeyLine
from tui.widgets.mask_canvas import MaskCanvas, Shape, Side
from tui.widgets.path_input import whole_path
from tui.widgets.still_screen import StillScreen

BLUR: Final = 64
"""One key press blurs by this part of the shorter side."""

GAP: Final = "   "

DRAFT_AFTER: Final = 1.0
"""Seconds after a change at which what is painted is kept, though it is not finished."""


LARGEST: Final = 2048
"""Pixels along a side of what is painted on: finer than any terminal shows, and soon sent. Larger ones are made so."""


class Store(Protocol):
    """Where pictures and masks lie: the engine's box."""

    async def fetch_file(
        self, path: str, width: int, height: int, *, draft: bool = False, arrived: Arrived | None = None
    ) -> bytes:
        """The picture at `path`, or the mask of it that was begun, as a PNG of at most `width` × `height` pixels."""

    async def store_mask(self, data: bytes, picture: str = "", *, draft: bool = False) -> str:
        """Keep a mask of `picture`, finished or not; its path."""


async def fetch_to_paint(
    store: Store, path: str, *, draft: bool = False, arrived: Arrived | None = None
) -> Image.Image:
    """The picture or mask at `path` as it is painted on: its transparent parts white, like what the worker sees.

    With `draft` the mask of that picture that was begun and not finished; `arrived` is told of every piece.

    Raises:
        LatenttyError: it is missing, or no picture.
    """
    data = await store.fetch_file(path, LARGEST, LARGEST, draft=draft, arrived=arrived)
    return await asyncio.to_thread(lambda: _on_white(decoded(data)))


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


class Painted(Struct, frozen=True):
    """What the editor answers with: a mask, or grown edges."""

    mask: str = ""
    """Its path."""
    grow: Edges = Edges()


class MaskEditor(StillScreen[Painted | None]):
    """Paints a mask, or grows the picture's edges; None when it was left."""

    DEFAULT_CSS = """
    MaskEditor { layout: vertical; }
    MaskEditor #mask-title {
        height: 1; background: $panel; color: $text-muted; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    MaskEditor MaskCanvas { height: 1fr; width: 1fr; }
    """
    ABOUT = (
        "What is bright is drawn anew, what is dimmed is kept; or the edges grow, and what is new there is drawn. The "
        "mouse paints too, its right button erases."
    )
    BINDINGS = [
        Binding("enter", "keep", "Use", id="mask.keep", tooltip="Save the mask and draw with it"),
        Binding("space", "dab", "Paint", id="mask.dab"),
        Binding("e", "erase", "Erase", id="mask.erase", tooltip="Erase instead of painting, and back"),
        Binding("u", "undo", "Undo", id="mask.undo"),
        Binding("r", "shape('rectangle')", "Rect", id="mask.rectangle", tooltip="A rectangle: one corner, the other"),
        Binding("o", "shape('ellipse')", "Oval", id="mask.ellipse", tooltip="An ellipse: one corner, the other"),
        Binding("f", "fill", "Fill", id="mask.fill", tooltip="The area under the cursor"),
        Binding("g", "grow", "Edges", id="mask.grow", tooltip="Let the arrow keys grow the edges, or paint again"),
        Binding("b", "pen", "Pen", id="mask.pen", tooltip="Let the arrow keys paint, or no longer"),
        Binding("i", "invert", "Invert", id="mask.invert"),
        Binding("z", "zoom(1)", "Closer", id="mask.closer"),
        Binding("s", "blur", "Soften", id="mask.blur", tooltip="Soften the edges of the mask"),
        Binding("plus,equals_sign", "brush(1)", "Larger brush", key_display="+", id="mask.larger"),
        Binding("m", "load", "Load", id="mask.load", tooltip="Take a mask from a file"),
        Binding("x", "clear", "Clear", id="mask.clear"),
        Binding("escape", "leave", "Leave", id="mask.leave", tooltip="Leave without a mask"),
        Binding("U,ctrl+y", "redo", "Redo", show=False, id="mask.redo"),
        Binding("minus", "brush(-1)", "Smaller brush", key_display="-", show=False, id="mask.smaller"),
        Binding("Z", "zoom(-1)", "Farther", show=False, id="mask.further"),
        Binding("left,h", "move(-1, 0)", "Left", show=False, id="mask.left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, id="mask.right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, id="mask.up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, id="mask.down"),
        Binding("shift+left,H", "move(-8, 0)", "Far left", show=False, id="mask.far_left"),
        Binding("shift+right,L", "move(8, 0)", "Far right", show=False, id="mask.far_right"),
        Binding("shift+up,K", "move(0, -8)", "Far up", show=False, id="mask.far_up"),
        Binding("shift+down,J", "move(0, 8)", "Far down", show=False, id="mask.far_down"),
    ]

    def __init__(
        self,
        store: Store,
        picture: Image.Image,
        path: str = "",
        *,
        grow: Edges | None = None,
        begun: Image.Image | None = None,
        draft: Image.Image | None = None,
    ) -> None:
        """`picture` is what lies at `path`.

        `begun` is a mask to go on with, `draft` one that was left unfinished, which `u` takes away again; with `grow`,
        the edges are grown first, from there on.
        """
        super().__init__()
        self._store = store
        self._path = path
        self._canvas = MaskCanvas(picture, Mask(*picture.size), id="canvas")
        self._canvas.growing, self._canvas.grow = grow is not None, grow or Edges()
        self._first = self._canvas.grow
        if begun is not None:
            self.mask.paste(begun)
        self._draft = draft
        if draft is not None:
            self.mask.paste(draft)
        self._opened = self._kept = self.mask.changes
        """How often the mask had changed when it was kept, finished or not."""
        self._warned: tuple[int, Edges] | None = None
        """What was there when it was told that leaving loses it."""
        self._resting: Timer | None = None
        self._storing = asyncio.Lock()
        """One is kept after the other, so that a draft does not come after the mask itself."""
        self._saving = self._leaving = False
        """Leaving keeps a draft; all else that is saved is the mask."""
        self._title = Static(id="mask-title", markup=False)
        self._ask = AskLine(id="mask-ask")

    def compose(self) -> ComposeResult:
        """A line about the brush, the picture, the keys."""
        yield self._title
        yield self._canvas
        yield self._ask
        yield KeyLine()

    def on_mount(self) -> None:
        """Keys go to the picture."""
        self._canvas.focus()
        if self._draft is not None:
            key = undo_key(self.app, "mask.undo", "u")
            self.notify(f"The mask that was begun on this picture is back; {key} takes it away.")

    @on(MaskCanvas.Changed)
    def _keep_soon(self) -> None:
        """Keep what is painted, also while one goes on painting: the terminal may be lost at any moment."""
        if self._path and self._resting is None and self.mask.changes != self._kept:
            self._resting = self.set_timer(DRAFT_AFTER, self._keep_draft)

    @work(group="draft")
    async def _keep_draft(self) -> None:
        self._resting = None
        try:
            await self._store_mask(draft=True)
        except LatenttyError as error:
            tell(self.app, error.problem)

    async def _store_mask(self, *, draft: bool) -> str:
        """The path of what is painted now, kept by the engine.

        Raises:
            LatenttyError: it cannot be kept.
        """
        async with self._storing:
            changes, image = self.mask.changes, self.mask.image.copy()
            data = await asyncio.to_thread(mask_png, image, MAX_MASK)
            path = await self._store.store_mask(data, self._path, draft=draft)
            self._kept = changes
            return path

    @on(MaskCanvas.Changed)
    def _tell(self) -> None:
        name, told = ("Edges", self._told_edges()) if self._canvas.growing else ("Mask", self._told_mask())
        saving = ("saving · Esc goes on painting", "$foreground") if self._saving else (" · ".join(told), "")
        self._title.update(Content.assemble((name, "bold $accent"), GAP, saving))

    def _told_mask(self) -> Iterator[str]:
        canvas = self._canvas
        yield f"{'erase' if canvas.value == KEPT else 'paint'} {2 * canvas.radius + 1} px"
        if canvas.begun:
            yield str(canvas.begun[1])
        if canvas.pen:
            yield "pen down"
        yield f"{100 * canvas.mask.share:.0f} % drawn anew"
        yield f"{canvas.zoom}×"
        x, y = canvas.cursor
        yield f"at {x},{y}"

    def _told_edges(self) -> Iterator[str]:
        edges, (width, height) = self._canvas.grow, self._canvas.grown_size
        yield f"← {edges.left}  ↑ {edges.top}  → {edges.right}  ↓ {edges.bottom} px"
        yield f"{width}×{height}"
        yield "arrows grow, Shift shrinks"

    @property
    def _now(self) -> tuple[int, Edges]:
        """All that would be lost."""
        return self.mask.changes, self._canvas.grow

    @property
    def mask(self) -> Mask:
        """What was painted so far."""
        return self._canvas.mask

    def action_move(self, across: int, down: int) -> None:
        """Move the cursor; or grow an edge by a short way, take it back by a long one."""
        if self._canvas.growing:
            self._canvas.grow_edge(_side(across, down), 1 if abs(across + down) == 1 else -1)
        else:
            self._canvas.move(across, down)

    def action_grow(self) -> None:
        """Grow edges from now on, or paint again."""
        self._canvas.growing = not self._canvas.growing
        if self._canvas.growing and self.mask.share:
            self.notify("Only the new edges will be drawn then: what is painted has no effect.", severity="warning")
        self._canvas.begun, self._canvas.pen = None, False
        self._canvas.redraw()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What paints does nothing while edges are grown, and is not offered."""
        return not (self._canvas.growing and action in PAINTS)

    def action_dab(self) -> None:
        """Paint once."""
        self._canvas.dab()

    def action_pen(self) -> None:
        """Pen down, or up."""
        self._canvas.toggle_pen()

    def action_erase(self) -> None:
        """Erase from now on, or paint again."""
        self._canvas.value = ANEW if self._canvas.value == KEPT else KEPT
        self._canvas.redraw()

    def action_shape(self, shape: Shape) -> None:
        """Begin or end a shape."""
        self._canvas.shape(shape)

    def action_brush(self, by: int) -> None:
        """A larger or smaller brush."""
        self._canvas.resize_brush(by)

    def action_zoom(self, by: int) -> None:
        """Closer or further."""
        self._canvas.change_zoom(by)

    def action_fill(self) -> None:
        """Fill the area under the cursor."""
        self.mask.fill(*self._canvas.cursor, self._canvas.value)
        self._canvas.redraw()

    def action_invert(self) -> None:
        """Swap what is kept and what is drawn anew."""
        self.mask.invert()
        self._canvas.redraw()

    def action_blur(self) -> None:
        """Soften the edges."""
        self.mask.blur(max(min(self.mask.size) / BLUR, 1))
        self._canvas.redraw()

    def action_clear(self) -> None:
        """Begin anew."""
        if self._canvas.growing:
            self._canvas.set_edges(Edges())
            return
        self.mask.clear()
        self._canvas.redraw()

    def action_undo(self) -> None:
        """Take the last change back."""
        if not (self._canvas.undo_edges() if self._canvas.growing else self.mask.undo()):
            self.notify("Nothing is left to take back.")
        self._canvas.redraw()

    def action_redo(self) -> None:
        """Make it again."""
        if not self.mask.redo():
            self.notify("Nothing was taken back.")
        self._canvas.redraw()

    def action_load(self) -> None:
        """Ask for a mask's file."""
        self._ask.ask("load", "Mask file", hint="a picture on the box: white is drawn anew", completes="file")

    @on(AskLine.Answered)
    @work(group="load", exclusive=True)
    async def _load(self, event: AskLine.Answered) -> None:
        """Become the mask at a path, once it is here."""
        try:
            self.mask.paste(await fetch_to_paint(self._store, whole_path(event.value.strip())))
        except LatenttyError as error:
            tell(self.app, error.problem)
        self._canvas.redraw()

    @on(AskLine.Left)
    def _back(self) -> None:
        self._canvas.focus()

    def action_keep(self) -> None:
        """Save the mask and leave with it, or with the edges."""
        if self._canvas.growing:
            if self._canvas.grow.any:
                self.dismiss(Painted(grow=self._canvas.grow))
            else:
                self.notify("No edge is grown yet: an arrow key grows one.", severity="warning")
            return
        if not self.mask.share:
            self.notify("Nothing is painted yet: white is drawn anew.", severity="warning")
            return
        self._leaving = False
        if not self._saving:
            self._save()

    @work(group="save", exclusive=True)
    async def _save(self) -> None:
        """Have the engine keep the mask, and leave once it has; what is painted meanwhile is saved too."""
        self._saving, path, draft = True, "", None
        self._tell()
        try:
            while draft != self._leaving or self._kept != self.mask.changes:
                draft = self._leaving
                path = await self._store_mask(draft=draft)
        except LatenttyError as error:
            tell(self.app, error.problem)
            self._warned = self._now
        else:
            self._close(None if draft else Painted(mask=path))
        finally:
            self._saving = False
            self._tell()

    def action_leave(self) -> None:
        """End a shape that was begun, or a save that takes long; or leave, if need be after a warning."""
        canvas = self._canvas
        if canvas.begun is not None or canvas.pen:
            canvas.begun, canvas.pen = None, False
            canvas.redraw()
        elif self._saving:
            self.workers.cancel_group(self, "save")
        elif self._now in ((self._kept, self._first), self._warned):
            self._close(None)
        elif self._path and canvas.grow == self._first:
            self._leaving = True
            self._save()
        else:
            self._warned = self._now
            self.notify("Esc once more leaves without it; Enter uses it.", severity="warning")

    def _close(self, painted: Painted | None) -> None:
        """Answer with what was painted, or tell that it was kept unfinished."""
        if painted is None and self._path and self._opened != self.mask.changes == self._kept:
            self.app.notify("The mask is kept: it is there when you paint on this picture again.")
        self.dismiss(painted)


PAINTS: Final = frozenset({"dab", "pen", "erase", "shape", "fill", "invert", "redo", "blur", "brush", "zoom", "load"})
"""What has no meaning while edges are grown."""


def _side(across: int, down: int) -> Side:
    if across:
        return "left" if across < 0 else "right"
    return "top" if down < 0 else "bottom"
