"""The app: keys and messages in, commands to the engine out, its events back to the screens."""

import asyncio
import io
import signal
from collections.abc import Iterable

from PIL import Image
from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from tui.client import EngineClient
from tui.library.paths import Paths, shipped_themes
from tui.library.plain_text import plain
from tui.library.settings import Settings
from tui.panes.prompt import PromptArea
from tui.panes.settings import SettingsPane
from tui.protocol.commands import (
    Cancel,
    CancelLoad,
    ClientCommand,
    LoadModel,
    Pause,
    Resume,
    Retry,
    Shutdown,
    UnloadModel,
)
from tui.protocol.events import ClientEvent, ImageSaved, JobFailed, JobInterrupted, JobStarted, Picture, Warning
from tui.protocol.frames import Preview
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot
from tui.screens.help import HelpScreen
from tui.screens.studio import StudioScreen
from tui.theme_files import read_themes

PAINT_EVERY = 0.1
"""Seconds between two looks at what has changed; events between them are painted together."""

THUMBNAIL = 96
"""Pixels along the longer side of a recent picture."""


class LatenttyApp(App[int]):
    """Attaches to an engine and shows what it does. Nothing here waits for it."""

    TITLE = "Latentty"
    CSS = "Screen { background: $background; }"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [
        Binding("ctrl+g", "generate", "Generate", priority=True, id="generate"),
        Binding("ctrl+x", "cancel", "Cancel", priority=True, id="cancel"),
        Binding("ctrl+n", "again", "New seed", priority=True, id="again", tooltip="Generate with a new seed"),
        Binding("f1", "help", "Help", priority=True, id="help"),
        Binding("f10", "quit", "Quit", priority=True, id="quit"),
        Binding("ctrl+q", "quit", "Quit", priority=True, show=False, id="quit.too"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="suspend"),
    ]

    def __init__(self, paths: Paths, settings: Settings) -> None:
        super().__init__()
        self._client = EngineClient(paths, self)
        self._settings = settings
        self._theme_files, self._theme_problems = read_themes([shipped_themes(), paths.config / "themes"])
        self._changed = False
        self._frame: Preview | None = None
        self._greeted = False
        self._recent: dict[int, Image.Image] = {}
        self._studio = StudioScreen()

    # ---- life --------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Paint first; look for the engine afterwards."""
        self.animation_level = "none"
        for number in (signal.SIGHUP, signal.SIGTERM):  # a lost terminal: leave as by the key
            asyncio.get_running_loop().add_signal_handler(number, self.exit)
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        for theme in self._theme_files:
            self.register_theme(theme)
        if self._settings.theme in self.available_themes:
            self.theme = self._settings.theme
        else:
            self._tell(Problem(code="bad_request", cause=f"There is no theme called {self._settings.theme!r}."))
        for problem in self._theme_problems:
            self._tell(problem)
        self.push_screen(self._studio)
        self.set_interval(PAINT_EVERY, self._paint)
        self.call_after_refresh(self._stay_attached)

    @work(group="engine")
    async def _stay_attached(self) -> None:
        await self._client.run()

    def _paint(self) -> None:
        """Show what has changed since the last time; nothing when nothing has."""
        if self._frame is not None:
            frame, self._frame = self._frame, None
            self._studio.preview.show_picture(Image.frombytes("RGB", (frame.width, frame.height), frame.rgb))
        if self._changed and self._client.snapshot is not None:
            self._changed = False
            self._studio.show_state(self._client.snapshot)

    def _tell(self, problem: Problem) -> None:
        self.notify(plain(str(problem)), severity="error", timeout=10, markup=False)

    # ---- what the client tells ---------------------------------------------------------------------------------

    def engine_attached(self, snapshot: Snapshot) -> None:
        """An engine answers."""
        self._studio.settings.set_models(snapshot.models, snapshot.last_model)
        self._studio.preview.show_problem(snapshot.engine.hold)
        if not self._greeted:
            self._greeted = True
            jobs = [record.job for record in snapshot.jobs.values() if record.started is not None]
            self.call_after_refresh(self._studio.remember, jobs)
        self._fetch_recent(snapshot.pictures)
        if snapshot.pictures and snapshot.running is None:
            self._fetch_picture(snapshot.pictures[0])
        self._changed = True

    def engine_event(self, event: ClientEvent) -> None:
        """Something happened."""
        self._changed = True
        preview, snapshot = self._studio.preview, self._client.snapshot
        assert snapshot is not None
        match event:
            case ImageSaved(picture=picture):
                self._frame = None
                self._fetch_picture(picture)
                self._fetch_recent(snapshot.pictures)
            case JobStarted():
                preview.show_problem(None)
            case JobFailed(problem=problem) | JobInterrupted(problem=problem):
                preview.show_problem(problem)
            case Warning(problem=problem):
                self._tell(problem)
            case _:
                if snapshot.engine.hold is not None:
                    preview.show_problem(snapshot.engine.hold)

    def engine_preview(self, preview: Preview) -> None:
        """The picture as it forms."""
        self._frame = preview

    def engine_detached(self, problem: Problem | None) -> None:
        """No engine answers."""
        self._frame = None
        self._studio.show_detached(problem)

    # ---- pictures ----------------------------------------------------------------------------------------------

    @work(group="picture", exclusive=True)
    async def _fetch_picture(self, picture: Picture) -> None:
        width, height = self._studio.preview.picture_pixels
        image = await self._fetch(picture, width, height)
        if image is not None:
            self._studio.preview.show_picture(image)

    @work(group="recent", exclusive=True)
    async def _fetch_recent(self, pictures: list[Picture]) -> None:
        wanted = pictures[: self._studio.preview.recent_wanted]
        for picture in wanted:
            if picture.id not in self._recent:
                image = await self._fetch(picture, THUMBNAIL, THUMBNAIL)
                if image is not None:
                    self._recent[picture.id] = image
        self._recent = {one.id: self._recent[one.id] for one in wanted if one.id in self._recent}
        self._studio.show_recent(self._recent)

    async def _fetch(self, picture: Picture, width: int, height: int) -> Image.Image | None:
        try:
            data = await self._client.fetch(picture.id, width, height)
        except LatenttyError as error:
            self._tell(error.problem)
            return None
        return Image.open(io.BytesIO(data))

    # ---- what the user asks for --------------------------------------------------------------------------------

    @on(PromptArea.Submitted)
    def action_generate(self) -> None:
        """Queue the job that the panes describe."""
        draft = self._studio.draft()
        if isinstance(draft, Job):
            self._submit(draft)
        else:
            self.notify(draft, severity="warning", markup=False)

    def action_again(self) -> None:
        """Queue it with a fresh random seed."""
        self._studio.settings.clear_seed()
        self.action_generate()

    def action_cancel(self) -> None:
        """End the running job, or the load that is under way, or the next job that waits."""
        snapshot = self._client.snapshot
        if snapshot is None:
            return
        job = snapshot.running or next(iter(snapshot.waiting), None)
        if job is not None:
            self._ask(Cancel(job_id=job.job.id))
        elif snapshot.loading is not None:
            self._ask(CancelLoad(model=snapshot.loading.model))
        else:
            self.notify("Nothing is running.")

    def action_help(self) -> None:
        """Show the keys that work now."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen.active_bindings.values()))

    async def action_quit(self) -> None:
        """Leave; the engine goes on."""
        self.exit(0, message=self._farewell())

    def get_key_display(self, binding: Binding) -> str:
        """Keys as they are printed on keyboards: ^G and F1, not ^g and f1."""
        shown = super().get_key_display(binding)
        return shown.upper() if shown.startswith("^") or shown[1:].isdecimal() else shown

    def _farewell(self) -> str:
        snapshot = self._client.snapshot
        left = sum(record.open for record in snapshot.jobs.values()) if snapshot is not None else 0
        if not left:
            return "The engine stays ready. End it with: latentty engine stop"
        jobs = "1 job goes" if left == 1 else f"{left} jobs go"
        return f"{jobs} on without this window. See how far: latentty"

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: our commands before Textual's own."""
        yield SystemCommand("Generate", "Queue what the panes describe", self.action_generate)
        yield SystemCommand("Cancel", "End the running job", self.action_cancel)
        yield SystemCommand("Generate with a new seed", "The same again, different", self.action_again)
        yield SystemCommand("Pause the queue", "Start no further job", lambda: self._ask(Pause()))
        yield SystemCommand("Resume the queue", "Start jobs again", lambda: self._ask(Resume()))
        yield SystemCommand("Retry failed jobs", "Queue every failed job again", self._retry_failed)
        yield SystemCommand("Load the model now", "Bring the chosen model to the device", self._load)
        yield SystemCommand("Unload models", "Free the device's memory", lambda: self._ask(UnloadModel()))
        yield SystemCommand("Stop the engine", "End it; waiting jobs are kept", lambda: self._ask(Shutdown()))
        yield from super().get_system_commands(screen)

    @on(SettingsPane.ModelChosen)
    def _model_chosen(self) -> None:
        self._changed = True

    def _load(self) -> None:
        model = self._studio.settings.model
        if model is not None:
            self._ask(LoadModel(model=model.name))

    def _retry_failed(self) -> None:
        snapshot = self._client.snapshot
        for record in list(snapshot.jobs.values()) if snapshot is not None else []:
            if record.state == "failed":
                self._ask(Retry(job_id=record.job.id))

    @work(group="commands")
    async def _ask(self, command: ClientCommand) -> None:
        try:
            await self._client.request(command)
        except LatenttyError as error:
            self._tell(error.problem)

    @work(group="commands")
    async def _submit(self, job: Job) -> None:
        try:
            await self._client.submit(job)
        except LatenttyError as error:
            self._studio.preview.show_problem(error.problem)
