"""Pictures over the whole screen: near or far, beside another one, and what they were made from."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Static

from tui.client import EngineClient
from tui.library.plain_text import plain
from tui.protocol.events import Picture
from tui.protocol.problem import LatenttyError
from tui.screens.engine_screen import decoded, tell
from tui.widgets.key_line import KeyLine
from tui.widgets.picture_view import PictureView
from tui.widgets.still_screen import StillScreen
from tui.widgets.zoom import Zoom

WHOLE: Final = 16384
"""Pixels along a side, more than a picture has."""

REST: Final = 0.3
"""Seconds without a key after which a part that was moved to is sent in all its pixels."""

QUICK: Final = 2
"""By how much a part is made smaller while one moves."""


class ViewerScreen(StillScreen[None]):
    """Shows the pictures it is given, one or two at a time."""

    CSS_PATH = "viewer.tcss"
    ABOUT = "The last pictures, whole or pixel by pixel, alone or beside another one."
    BINDINGS = [
        Binding("escape,q", "dismiss", "Close", id="viewer.close"),
        Binding("pageup,p", "step(-1)", "Previous", show=False, id="viewer.previous"),
        Binding("pagedown,n", "step(1)", "Next", id="viewer.next"),
        Binding("plus,equals_sign,z", "zoom(1)", "Nearer", key_display="+", id="viewer.nearer"),
        Binding("minus", "zoom(-1)", "Farther", key_display="-", show=False, id="viewer.farther"),
        Binding("left,h", "move(-1, 0)", "Left", show=False, id="viewer.left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, id="viewer.right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, id="viewer.up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, id="viewer.down"),
        Binding("b", "before", "Before/after", id="viewer.before"),
        Binding("s", "beside", "Side by side", id="viewer.beside"),
    ]

    def __init__(self, client: EngineClient, pictures: Sequence[Picture], index: int = 0) -> None:
        """`pictures` to page through, of which that at `index` is shown first."""
        super().__init__()
        self._client = client
        self._listed = list(pictures)
        self._index = index
        self._zoom = Zoom()
        self._is_before = False
        self._images: list[Image.Image | None] = [None, None]
        self._views = [PictureView(id="first"), PictureView(id="second")]
        self._about = Static(id="about", markup=False)
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """One or two pictures, a line about them, the keys."""
        with Horizontal(id="seen"):
            yield from self._views
        yield self._about
        yield KeyLine()

    def on_mount(self) -> None:
        """Fetch the first picture."""
        self._fetch()

    def on_resize(self) -> None:
        """Another size shows another part."""
        self.call_after_refresh(self._show)

    # ---- what the user asks for --------------------------------------------------------------------------------

    def action_step(self, step: int) -> None:
        """Go to another picture; near as before, at the same place."""
        index = min(max(self._index + step, 0), len(self._listed) - 1)
        if index != self._index:
            self._index, self._is_before = index, False
            self._fetch()

    def action_zoom(self, steps: int) -> None:
        """Come nearer or go farther."""
        self._zoom = self._zoom.nearer(steps)
        self._show()

    def action_move(self, across: int, down: int) -> None:
        """Look at another part."""
        image = self._images[0]
        if image is None or not self._zoom.level:
            return
        zoom = self._zoom.moved(across, down, image.size, self._views[0].dots)
        if zoom == self._zoom:
            return
        self._zoom = zoom
        self._show(quick=True)
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST, self._show)

    def action_before(self) -> None:
        """Show what the picture was made from, or the picture again."""
        self._is_before = not self._is_before
        self._fetch()

    def action_beside(self) -> None:
        """Show two pictures beside each other, or one alone again."""
        self.toggle_class("-beside")
        self._fetch()

    # ---- pictures ----------------------------------------------------------------------------------------------

    @property
    def _other(self) -> Picture | None:
        """What is shown at the right: the next picture, or this one beside what it was made from."""
        index = self._index if self._is_before else self._index + 1
        return self._listed[index] if self.has_class("-beside") and index < len(self._listed) else None

    @work(group="viewer", exclusive=True)
    async def _fetch(self) -> None:
        """Get the pictures that are to be seen, whole, and show them."""
        picture = self._listed[self._index]
        try:
            first = await self._whole(picture, start=self._is_before)
            other = self._other
            second = await self._whole(other) if other is not None else None
        except LatenttyError as error:
            self._is_before = False
            tell(self.app, error.problem)
            return
        self._images = [first, second]
        self.call_after_refresh(self._show)

    async def _whole(self, picture: Picture, *, start: bool = False) -> Image.Image:
        """All pixels of `picture`, or of what it was made from.

        Raises:
            LatenttyError: it is gone, or was made from nothing.
        """
        data = await self._client.fetch(picture.id, WHOLE, WHOLE, start=start)
        return await asyncio.to_thread(decoded, data)

    def _show(self, *, quick: bool = False) -> None:
        for view, image in zip(self._views, self._images, strict=True):
            if image is None:
                view.show(None)
                continue
            level = self._zoom.level
            part = image.crop(self._zoom.box(image.size, view.dots)) if level else image
            most = (part.width * level, part.height * level) if level else None
            view.show(part.reduce(QUICK) if quick else part, live=quick, most=most)
        self._about.update(self._told())

    def _told(self) -> str:
        picture = self._listed[self._index]
        parts = [f"{self._index + 1} of {len(self._listed)}"]
        if self._is_before:
            parts.append("before")
        parts += [
            f"{picture.width} × {picture.height}",
            f"seed {picture.seed}",
            self._zoom.name,
            Path(picture.path).name,
        ]
        if self._other is not None:
            parts.append(f"beside {Path(self._other.path).name}")
        return plain(" · ".join(parts))
