"""What every screen is: a status line above, the keys below, and an engine that it may ask."""

import io
from collections.abc import Iterable
from typing import Any

import msgspec
from PIL import Image
from textual import work
from textual.app import App, ComposeResult
from textual.events import ScreenResume
from textual.widget import Widget

from tui.client import EngineClient
from tui.library.plain_text import plain
from tui.protocol.commands import ClientCommand
from tui.protocol.events import ClientEvent
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot
from tui.widgets.key_line import KeyLine
from tui.widgets.status_line import StatusLine
from tui.widgets.still_screen import StillScreen

GIBIBYTE = 1 << 30


class EngineScreen(StillScreen[None]):
    """Fills the terminal, shows what the engine does, and sends it commands."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    ABOUT = ""
    """What the screen is for, in a sentence or two: its help begins with it."""
    PLACE = ""
    """What the app calls the screen, where a key leads to it."""

    def __init__(self, client: EngineClient) -> None:
        super().__init__()
        self.client = client
        self.status = StatusLine(self.PLACE, id="status")

    # ---- what a screen of its own says -------------------------------------------------------------------------

    def compose_body(self) -> Iterable[Widget]:
        """What is between the status line and the keys."""
        return ()

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring the screen up to date; called at most ten times a second, while it is the one that is seen."""
        self._show_status(snapshot)

    def engine_attached(self, snapshot: Snapshot) -> None:
        """An engine answers: all that was known may be different now."""

    def engine_event(self, event: ClientEvent, snapshot: Snapshot) -> None:
        """Something happened; `snapshot` knows already. Called for every screen that was opened, seen or not."""

    def engine_detached(self, problem: Problem | None) -> None:
        """No engine answers; None while one is being looked for."""
        self.status.state, self.status.tone = ("no engine", "$error") if problem else ("connecting", "$warning")
        self.status.device = ""

    # ---- what all of them can do -------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Status line, body, keys."""
        yield self.status
        yield from self.compose_body()
        yield KeyLine()

    def will_show(self) -> None:
        """It is about to be seen: everything on it will be drawn anew."""

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Seen again: show what happened in the meantime. The app has looked whether other styles are due."""
        event.refresh_styles = False
        if self.client.snapshot is not None:
            self.show_state(self.client.snapshot)

    @work(group="commands")
    async def ask(self, command: ClientCommand) -> None:
        """Send `command`; a failure is told on the screen."""
        await self.result(command)

    async def result(self, command: ClientCommand) -> msgspec.Raw | None:
        """The result of `command`; None when it failed, which is told on the screen."""
        try:
            return await self.client.request(command)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return None

    async def fetch(self, picture_id: int, width: int, height: int) -> Image.Image | None:
        """A picture of at most `width` × `height` pixels; None when it is gone, which is told on the screen."""
        try:
            data = await self.client.fetch(picture_id, width, height)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return None
        return Image.open(io.BytesIO(data))

    def _show_status(self, snapshot: Snapshot) -> None:
        running, status = snapshot.running, self.status
        status.model = running.job.model if running else snapshot.last_model
        status.mode = running.job.mode if running else snapshot.mode.mode if snapshot.mode else "txt2img"
        status.device = _device(snapshot)
        status.state, status.tone = ("no answer", "$error") if self.client.is_silent else _state(snapshot)


def decoded(data: bytes) -> Image.Image:
    """All pixels of a picture that the engine sent; to be called in a thread of its own."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def tell(app: App[Any], problem: Problem) -> None:
    """Show `problem` on whatever screen is seen, long enough to be read."""
    app.notify(plain(str(problem)), severity="error", timeout=10, markup=False)


def _device(snapshot: Snapshot) -> str:
    residency = snapshot.residency
    if residency is None:
        return ""
    used, total = residency.used_bytes / GIBIBYTE, residency.total_bytes / GIBIBYTE
    return f"{residency.device} {used:.1f}/{total:.0f} GiB"


def _state(snapshot: Snapshot) -> tuple[str, str]:
    """The engine's state in a word or two, and its colour."""
    engine, loading = snapshot.engine, snapshot.loading
    if engine.stopping:
        return "stopped", "$warning"
    if engine.hold is not None:
        return "held", "$error"
    if engine.stall is not None:
        return "hung", "$error"
    if loading is not None:
        return f"loading {100 * loading.done_bytes // max(loading.total_bytes, 1)} %", "$accent"
    if snapshot.running is not None:
        return "drawing", "$accent"
    if engine.paused:
        return "paused", "$warning"
    words = {"absent": "asleep", "starting": "starting", "idle": "ready", "running": "drawing", "loading": "loading"}
    return words.get(engine.worker, engine.worker), "$success" if engine.worker == "idle" else "$text-muted"
