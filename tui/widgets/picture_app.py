"""An app that shows pictures: it has the terminal's pictures, and keys to show them otherwise or again."""

import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual import events, work
from textual.app import App, ReturnType
from textual.binding import Binding, BindingType
from textual.filter import LineFilter

from tui.terminal.driver import PictureDriver, driver_for
from tui.terminal.pictures import Pictures
from tui.terminal.probe import Probe
from tui.widgets.plain_lines import PlainLines
from tui.widgets.still_screen import StillScreen

BACKLOG: Final = 8
"""Writes that may wait for the terminal before paints that are not urgent are left out."""

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at whether the terminal that tmux is seen in is still there."""

LOOK_AFTER: Final = 5.0
"""Seconds after which a key is reason enough to ask tmux again."""

TOLD_WITHIN: Final = (0.5, 2.0)
"""Seconds after which a terminal that has come is asked about again, since it had to be asked itself."""

SWITCH_EVERY: Final = 0.001
"""Seconds for which a thread that draws a picture may keep the event loop from running; Python's own are 0.005."""


class PictureApp(App[ReturnType]):
    """Base of apps with :class:`tui.widgets.picture_view.PictureView` in them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+l", "send_pictures", "Redraw", priority=True, show=False, id="pictures.again"),
        Binding("ctrl+t", "next_protocol", "Picture protocol", priority=True, show=False, id="pictures.protocol"),
    ]

    def __init__(self, pictures: Pictures | None = None, probe: Probe | None = None, **options: Any) -> None:
        """Without `pictures`, they are shown as text; `probe` is where the driver goes on."""
        self.pictures = pictures or Pictures.as_text()
        self._looked_at = 0.0
        self._asks_tmux = False
        self.pictures.on_failure = lambda error: self.call_later(self._fail, error)
        self._plain_lines = PlainLines()
        super().__init__(driver_class=driver_for(self.pictures, probe), **options)

    def get_default_screen(self) -> StillScreen[Any]:
        """The screen that is there before any other."""
        return StillScreen(id="_default")

    async def on_mount(self) -> None:
        """Keep what takes long away from the event loop."""
        if not self.is_headless:
            sys.setswitchinterval(SWITCH_EVERY)
            if self.pictures.terminal.tmux is not None:
                self.set_interval(LOOK_EVERY, self._see_who_looks_on)
            self.app_resume_signal.subscribe(self, lambda _: self._look_at_tmux())
            self.call_after_refresh(gc.freeze)  # it takes a tenth of a second to search all that is imported

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and the last guard of the terminal."""
        return [*super().get_line_filters(), self._plain_lines]

    @property
    def is_behind(self) -> bool:
        """Whether the line has not even carried what was painted before; what is not urgent should wait."""
        return isinstance(self._driver, PictureDriver) and self._driver.backlog > BACKLOG

    def _forget_rows(self) -> None:
        if isinstance(self._driver, PictureDriver):
            self._driver.rows.forget()

    def _fail(self, error: BaseException) -> None:
        raise error

    def on_app_focus(self) -> None:
        """Inside tmux the user may have come from another terminal."""
        self._look_at_tmux()

    def on_resize(self) -> None:
        """The same; and the terminal has moved its rows."""
        self._forget_rows()
        self._look_at_tmux()

    async def on_event(self, event: events.Event) -> None:
        """The same, where neither is told: a key may come from another terminal than the one before."""
        if isinstance(event, events.Key) and time.monotonic() - self._looked_at > LOOK_AFTER:
            self._look_at_tmux()
        await super().on_event(event)

    def _see_who_looks_on(self) -> None:
        """Costs next to nothing while the terminal stays the same."""
        if not self.pictures.is_seen:
            self._look_at_tmux()

    def _look_at_tmux(self) -> None:
        self._looked_at = time.monotonic()
        if self.pictures.terminal.tmux is not None and not self._asks_tmux:
            self._asks_tmux = True
            self._ask_tmux()

    @work(group="tmux")
    async def _ask_tmux(self) -> None:
        """Ask, and again when it is another terminal: that has to tell tmux first what it is."""
        protocol = self.pictures.choice.protocol
        for wait in (0, *TOLD_WITHIN):
            await asyncio.sleep(wait)
            before = self.pictures.terminal.tmux
            await self.pictures.look_at_tmux()
            if wait == 0 and self.pictures.terminal.tmux == before:
                break
        self._asks_tmux = False
        choice = self.pictures.choice
        if choice.protocol != protocol:
            self.notify(f"{choice.reason} {choice.advice}".strip(), title="Another terminal", markup=False)

    async def action_send_pictures(self) -> None:
        """Draw everything again, pictures too."""
        self._forget_rows()
        await self.pictures.look_at_tmux()
        self.refresh(layout=True)
        self.pictures.send_again()

    def action_next_protocol(self) -> None:
        """Show pictures the next way that this terminal knows."""
        choice = self.pictures.use_next()
        self.notify(f"Pictures: {choice.protocol}. {choice.reason}", markup=False)
