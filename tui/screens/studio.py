"""The studio: prompt, settings and preview on one screen."""

from collections.abc import Iterable

from PIL import Image
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from tui.panes.preview import PreviewPane
from tui.panes.prompt import PromptPane
from tui.panes.settings import SettingsPane
from tui.protocol.job import Job
from tui.protocol.problem import Problem
from tui.protocol.snapshot import Snapshot
from tui.widgets.status_line import StatusLine

GIBIBYTE = 1 << 30


class StudioScreen(Screen[None]):
    """Lays the panes out and hands them what they show. It knows no engine."""

    CSS_PATH = "studio.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    AUTO_FOCUS = "#prompt"

    def __init__(self) -> None:
        super().__init__()
        self.status = StatusLine(id="status")
        self.prompts = PromptPane()
        self.settings = SettingsPane(id="settings")
        self.preview = PreviewPane(id="preview")

    def compose(self) -> ComposeResult:
        """Status line, panes, keys."""
        yield self.status
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield self.prompts
                yield self.settings
            yield self.preview
        yield Footer(compact=True)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now; the app's own first and in their order, which is the footer's."""
        found = super().active_bindings
        order = [binding.id for binding in self.app.BINDINGS if isinstance(binding, Binding)]
        return dict(sorted(found.items(), key=lambda item: _place(order, item[1].binding.id)))

    def draft(self) -> Job | str:
        """The job that the panes describe, or why there is none; then the input at fault has the focus."""
        if self.settings.model is None:
            return "No model is chosen yet."
        wrong = self.settings.first_complaint()
        if wrong is not None:
            wrong.focus()
            return wrong.complaint or ""
        return self.settings.make_job(self.prompts.prompt, self.prompts.negative_prompt)

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring every line up to date."""
        self.preview.show_state(snapshot)
        status = self.status
        running = snapshot.running
        status.model = running.job.model if running else self.settings.model.name if self.settings.model else ""
        status.mode = running.job.mode if running else "txt2img"
        status.device = _device(snapshot)
        status.state, status.tone = _state(snapshot)

    def show_detached(self, problem: Problem | None) -> None:
        """No engine answers."""
        status = self.status
        status.state, status.tone = ("no engine", "$error") if problem else ("connecting", "$warning")
        status.device = ""
        self.preview.show_problem(problem)

    def show_recent(self, images: dict[int, Image.Image]) -> None:
        """Show the strip of recent pictures."""
        self.preview.show_recent(images)

    def remember(self, jobs: Iterable[Job]) -> None:
        """Take up where the user left off: the last of `jobs` fills the panes, unless something is typed already."""
        last = next(iter(reversed(list(jobs))), None)
        if last is not None and not self.prompts.prompt:
            self.prompts.fill(last.prompt, last.negative_prompt)
            self.settings.fill(last)


def _place(order: list[str | None], name: str | None) -> int:
    return order.index(name) if name in order else len(order)


def _device(snapshot: Snapshot) -> str:
    residency = snapshot.residency
    if residency is None:
        return ""
    used, total = residency.used_bytes / GIBIBYTE, residency.total_bytes / GIBIBYTE
    return f"{residency.device} {used:.1f}/{total:.0f} GB"


def _state(snapshot: Snapshot) -> tuple[str, str]:
    """The engine's state in a word or two, and its colour."""
    engine, loading = snapshot.engine, snapshot.loading
    if engine.stopping:
        return "stopped", "$warning"
    if engine.hold is not None:
        return "held", "$error"
    if loading is not None:
        return f"loading {100 * loading.done_bytes // max(loading.total_bytes, 1)} %", "$accent"
    if snapshot.running is not None:
        return "drawing", "$accent"
    if engine.paused:
        return "paused", "$warning"
    words = {"absent": "asleep", "starting": "starting", "idle": "ready", "running": "drawing", "loading": "loading"}
    return words.get(engine.worker, engine.worker), "$success" if engine.worker == "idle" else "$text-muted"
