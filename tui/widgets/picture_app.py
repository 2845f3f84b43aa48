"""An app that shows pictures: it has the terminal's pictures, and keys to show them otherwise or again."""

import asyncio
import gc
import sys
from typing import Any, ClassVar, Final

from textual.app import App, ReturnType
from textual.binding import Binding, BindingType

from tui.terminal.driver import PictureDriver, driver_for
from tui.terminal.pictures import Pictures
from tui.terminal.probe import Probe

BACKLOG: Final = 8
"""Writes that may wait for the terminal before paints that are not urgent are left out."""

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
        self.pictures.on_failure = lambda error: self.call_later(self._fail, error)
        super().__init__(driver_class=driver_for(self.pictures, probe), **options)

    async def on_mount(self) -> None:
        """Keep what takes long away from the event loop."""
        sys.setswitchinterval(SWITCH_EVERY)
        self.call_after_refresh(gc.freeze)  # looking for garbage among all that is imported takes a tenth of a second

    @property
    def is_behind(self) -> bool:
        """Whether the line has not even carried what was painted before; what is not urgent should wait."""
        return isinstance(self._driver, PictureDriver) and self._driver.backlog > BACKLOG

    def _fail(self, error: BaseException) -> None:
        raise error

    def on_app_focus(self) -> None:
        """Inside tmux the user may have come from another terminal."""
        self.run_worker(self._look_at_tmux(), group="tmux", exclusive=True)

    def on_resize(self) -> None:
        """The same."""
        self.run_worker(self._look_at_tmux(), group="tmux", exclusive=True)

    async def _look_at_tmux(self) -> None:
        await asyncio.sleep(0)
        if (choice := await self.pictures.look_at_tmux()) is not None:
            self.notify(f"{choice.reason} {choice.advice}".strip(), title="Another terminal", markup=False)

    async def action_send_pictures(self) -> None:
        """Draw everything again, pictures too."""
        await self.pictures.look_at_tmux()
        self.refresh(layout=True)
        self.pictures.send_again()

    def action_next_protocol(self) -> None:
        """Show pictures the next way that this terminal knows."""
        choice = self.pictures.use_next()
        self.notify(f"Pictures: {choice.protocol}. {choice.reason}", markup=False)
