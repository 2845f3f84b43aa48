"""The log viewer: the end of the engine's log, which grows as one looks."""

import re
from collections.abc import Iterable
from typing import Any, Final

from rich.highlighter import Highlighter
from rich.text import Text
from textual import work
from textual.app import App
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

USUAL: Final = "INFO"
"""The level that is not told: nearly all lines have it."""

LOUD: Final = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}
"""Levels that are to be seen at a glance, and the theme's colours for them."""

TIME: Final = re.compile(r"^\d\d:\d\d:\d\d")
LEVEL: Final = re.compile(rf"\b({'|'.join(LOUD)})\b")

MOST_LINES: Final = 5000
LOOK_EVERY: Final = 1.0


class _Levels(Highlighter):
    """Times recede, and what went wrong stands out."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app

    def highlight(self, text: Text) -> None:
        """Style one line."""
        if time := TIME.match(text.plain):
            text.stylize("dim", 0, time.end())
        if (level := LEVEL.search(text.plain)) and level.start() <= (time.end() + 2 if time else 0):
            text.stylize(f"bold {self._app.theme_variables[LOUD[level[1]]]}", *level.span())


class LogScreen(EngineScreen):
    """Follows the log while it is seen."""

    DEFAULT_CSS = """
    LogScreen Log {
        height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0;
    }
    LogScreen Log:focus { background-tint: transparent; }
    """
    PLACE = "log"
    AUTO_FOCUS = "#log"
    ABOUT = (
        "The end of the engine's log, which grows as one looks. Left and right go along its lines. "
        "`latentty engine logs` prints it."
    )
    BINDINGS = [
        Binding("g", "top", "First line", id="log.top"),
        Binding("G", "bottom", "Last line", id="log.bottom"),
        Binding("j", "lines(1)", "Down", show=False, id="log.down"),
        Binding("k", "lines(-1)", "Up", show=False, id="log.up"),
    ]

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._log = Log(id="log", max_lines=MOST_LINES, highlight=True)
        self._place = LogPlace()
        self._asking = False

    def compose_body(self) -> Iterable[Widget]:
        """The lines."""
        yield self._log

    def on_mount(self) -> None:
        """Look now, and again while the log is seen."""
        self._log.highlighter = _Levels(self.app)
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
            self._log.write_lines([plain(STAMP.sub(_stamp, line)) for line in part.text.splitlines()])

    def action_top(self) -> None:
        """The first line that is shown."""
        self._log.scroll_home(animate=False)

    def action_bottom(self) -> None:
        """The last line."""
        self._log.scroll_end(animate=False)

    def action_lines(self, by: int) -> None:
        """Move by lines."""
        self._log.scroll_relative(y=by, animate=False)


def _stamp(found: re.Match[str]) -> str:
    """The time, and the level unless it is the usual one."""
    return f"{found[1]}  " if found[2] == USUAL else f"{found[1]}  {found[2]} "
