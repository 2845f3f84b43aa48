"""The log viewer: the end of the engine's log, which grows as one looks."""

import re
from collections.abc import Iterable
from typing import Final

from textual import work
from textual.binding import Binding
from textual.events import ScreenResume
from textual.widget import Widget
from textual.widgets import Log

from tui.client import EngineClient
from tui.library.plain_text import plain
from tui.protocol.log import LogPlace
from tui.protocol.problem import LatenttyError
from tui.screens.engine_screen import EngineScreen, tell

STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ ([A-Z]+) [\w.]+: ")
"""What each line begins with; the day and the module are left out here, where room is short."""

MOST_LINES: Final = 5000
LOOK_EVERY: Final = 1.0


class LogScreen(EngineScreen):
    """Follows the log while it is seen."""

    DEFAULT_CSS = """
    LogScreen Log {
        height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
    }
    LogScreen Log:focus { background-tint: transparent; }
    """
    PLACE = "log"
    AUTO_FOCUS = "#log"
    ABOUT = "The end of the engine's log, which grows as one looks. `latentty engine logs` prints it."
    BINDINGS = [
        Binding("g", "top", "First line", id="log.top"),
        Binding("G", "bottom", "Last line", id="log.bottom"),
        Binding("j", "lines(1)", "Down", show=False, id="log.down"),
        Binding("k", "lines(-1)", "Up", show=False, id="log.up"),
    ]

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._log = Log(id="log", max_lines=MOST_LINES)
        self._place = LogPlace()
        self._asking = False

    def compose_body(self) -> Iterable[Widget]:
        """The lines."""
        yield self._log

    def on_mount(self) -> None:
        """Look now, and again while the log is seen."""
        self.set_interval(LOOK_EVERY, self._look)

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Seen again."""
        self._look()

    @work(group="log")
    async def _look(self) -> None:
        """Add what was written since the last time, unless that was asked for already."""
        if not self.is_current or self._asking:
            return
        if not self.client.is_attached:
            if not self._log.line_count:
                self._log.write_line("No engine answers. What it wrote last: latentty engine logs")
            return
        self._asking = True
        try:
            part = await self.client.read_log(self._place)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return
        finally:
            self._asking = False
        self._place = part.place
        if part.text:
            self._log.write_lines([plain(STAMP.sub(r"\1 \2 ", line)) for line in part.text.splitlines()])

    def action_top(self) -> None:
        """The first line that is shown."""
        self._log.scroll_home(animate=False)

    def action_bottom(self) -> None:
        """The last line."""
        self._log.scroll_end(animate=False)

    def action_lines(self, by: int) -> None:
        """Move by lines."""
        self._log.scroll_relative(y=by, animate=False)
