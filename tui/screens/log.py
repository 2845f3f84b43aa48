"""The log viewer: the end of the engine's log, which grows as one looks."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from textual.binding import Binding
from textual.events import ScreenResume
from textual.widget import Widget
from textual.widgets import Log

from tui.client import EngineClient
from tui.library.plain_text import plain
from tui.screens.engine_screen import EngineScreen

TAIL: Final = 256 << 10
"""Bytes from the end that are shown."""

STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ ([A-Z]+) [\w.]+: ")
"""What each line begins with; the day and the module are left out here, where room is short."""

MOST_LINES: Final = 5000
LOOK_EVERY: Final = 1.0


class LogScreen(EngineScreen):
    """Follows the log while it is seen."""

    DEFAULT_CSS = """
    LogScreen Log { height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    """
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
        self._read_to = 0
        self._file = 0

    def compose_body(self) -> Iterable[Widget]:
        """The lines."""
        yield self._log

    def on_mount(self) -> None:
        """Look now, and again while the log is seen."""
        self.set_interval(LOOK_EVERY, self._look)

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Seen again."""
        self._look()

    def _look(self) -> None:
        """Add what was written since the last time."""
        if not self.is_current:
            return
        try:
            text = self._read(self.client.paths.log_file)
        except OSError as error:
            text = "" if self._log.line_count else f"There is no log yet: {error.strerror}.\n"
        if text:
            self._log.write_lines([plain(STAMP.sub(r"\1 \2 ", line)) for line in text.splitlines()])

    def _read(self, path: Path) -> str:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_ino != self._file or found.st_size < self._read_to:  # another file: it was rotated
                self._file, self._read_to = found.st_ino, max(found.st_size - TAIL, 0)
            file.seek(self._read_to)
            data = file.read(TAIL)
        whole = data.rpartition(b"\n")
        self._read_to += len(whole[0]) + len(whole[1])
        return (whole[0] + whole[1]).decode(errors="replace")

    def action_top(self) -> None:
        """The first line that is shown."""
        self._log.scroll_home(animate=False)

    def action_bottom(self) -> None:
        """The last line."""
        self._log.scroll_end(animate=False)

    def action_lines(self, by: int) -> None:
        """Move by lines."""
        self._log.scroll_relative(y=by, animate=False)
