"""The studio: prompt, settings and preview on one screen."""

from collections.abc import Iterable

import msgspec
from PIL import Image
from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from tui.client import EngineClient
from tui.panes.control_rows import ControlRows
from tui.panes.preview import PreviewPane
from tui.panes.prompt import PromptArea, PromptPane
from tui.panes.settings import SettingsPane, changed
from tui.protocol.commands import Cancel, CancelLoad, EnsureControlNet, LoadModel, ReleaseControlNet, SwapMode
from tui.protocol.events import ClientEvent, ImageSaved, JobFailed, JobInterrupted, JobStarted, Picture
from tui.protocol.frames import Preview
from tui.protocol.job import Job, ModeState
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot
from tui.screens.engine_screen import EngineScreen


class StudioScreen(EngineScreen):
    """Lays the panes out, makes jobs of what they say, and hands them what they show."""

    CSS_PATH = "studio.tcss"
    AUTO_FOCUS = "#prompt"
    BINDINGS = [
        Binding("ctrl+g", "generate", "Generate", priority=True, id="generate"),
        Binding("ctrl+x", "cancel", "Cancel", priority=True, id="cancel"),
        Binding("ctrl+n", "again", "New seed", priority=True, id="again", tooltip="Generate with a new seed"),
    ]

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self.prompts = PromptPane()
        self.settings = SettingsPane(id="settings")
        self.preview = PreviewPane(id="preview")
        self._greeted = False
        self._frame: Preview | None = None
        self._recent: dict[int, Image.Image] = {}

    def compose_body(self) -> Iterable[Widget]:
        """The panes."""
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield self.prompts
                yield self.settings
            yield self.preview

    # ---- what the engine tells ---------------------------------------------------------------------------------

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring every line up to date, and the picture that forms."""
        super().show_state(snapshot)
        if snapshot.running is None and self.settings.model is not None:
            self.status.model = self.settings.model.name
        self.preview.show_state(snapshot)
        self.settings.show_state(snapshot)
        if self._frame is not None:
            frame, self._frame = self._frame, None
            forming = Image.frombytes("RGB", (frame.width, frame.height), frame.rgb)
            self.preview.show_picture(forming, live=True)

    def engine_attached(self, snapshot: Snapshot) -> None:
        """Offer the engine's models; the first time, take up where the user left off."""
        self.settings.set_models(snapshot.models, snapshot.last_model)
        self.preview.show_problem(snapshot.engine.hold)
        if not self._greeted:
            self._greeted = True
            jobs = [record.job for record in snapshot.jobs.values() if record.started is not None]
            self.call_after_refresh(self._remember, jobs)
        self._fetch_recent(snapshot.pictures)
        if snapshot.pictures and snapshot.running is None:
            self._fetch_picture(snapshot.pictures[0])

    def engine_event(self, event: ClientEvent, snapshot: Snapshot) -> None:
        """Fetch what was saved, and tell what failed until something else happens."""
        match event:
            case ImageSaved(picture=picture):
                self._frame = None
                self._fetch_picture(picture)
                self._fetch_recent(snapshot.pictures)
            case JobStarted():
                self.preview.show_problem(None)
            case JobFailed(problem=problem) | JobInterrupted(problem=problem):
                self.preview.show_problem(problem)
            case _:
                if snapshot.engine.hold is not None:
                    self.preview.show_problem(snapshot.engine.hold)

    def engine_preview(self, preview: Preview) -> None:
        """The picture as it forms; shown with the next state, the newest one only."""
        self._frame = preview

    def engine_detached(self, problem: Problem | None) -> None:
        """Say why no engine answers."""
        super().engine_detached(problem)
        self._frame = None
        self.preview.show_problem(problem)

    def _remember(self, jobs: list[Job]) -> None:
        """The last of `jobs` fills the panes, unless something is typed already."""
        if jobs and not self.prompts.prompt:
            self.prompts.fill(jobs[-1].prompt, jobs[-1].negative_prompt)
            self.settings.fill(jobs[-1])

    @work(group="picture", exclusive=True)
    async def _fetch_picture(self, picture: Picture) -> None:
        image = await self.fetch(picture.id, *self.preview.picture_pixels)
        if image is not None:
            self.preview.show_picture(image)

    @work(group="recent", exclusive=True)
    async def _fetch_recent(self, pictures: list[Picture]) -> None:
        wanted = pictures[: self.preview.recent_wanted]
        for picture in wanted:
            if picture.id not in self._recent:
                image = await self.fetch(picture.id, self.preview.recent_pixels, self.preview.recent_pixels)
                if image is not None:
                    self._recent[picture.id] = image
        self._recent = {one.id: self._recent[one.id] for one in wanted if one.id in self._recent}
        self.preview.show_recent(self._recent)

    def take_over(self, job: Job) -> None:
        """Fill the panes with everything that `job` says."""
        self.prompts.fill(job.prompt_template or job.prompt, job.negative_template or job.negative_prompt)
        self.settings.choose(job.model)
        self.settings.fill(job)

    # ---- what the user asks for --------------------------------------------------------------------------------

    @on(SettingsPane.ModeEntered)
    def _mode_entered(self, event: SettingsPane.ModeEntered) -> None:
        self._swap(event)

    @work(group="swap")
    async def _swap(self, entered: SettingsPane.ModeEntered) -> None:
        """Leave a mode and enter another, which shows what it remembers."""
        command = SwapMode(model=entered.model.name, mode=entered.mode, leaving=entered.leaving)
        answer = await self.result(command)
        if answer is not None and (self.settings.model, self.settings.mode) == (entered.model, entered.mode):
            self.settings.restore(changed(msgspec.msgpack.decode(answer, type=ModeState), entered.then))

    @on(ControlRows.Chosen)
    def _controlnet_chosen(self, event: ControlRows.Chosen) -> None:
        """It loads while one types."""
        command = EnsureControlNet if event.wanted else ReleaseControlNet
        self.ask(command(controlnet=event.name))

    def draft(self) -> Job | str:
        """The job that the panes describe, or why there is none; then the input at fault has the focus."""
        if self.settings.model is None:
            return "No model is chosen yet."
        wrong = self.settings.first_complaint()
        if wrong is not None:
            wrong.focus()
            return wrong.complaint or ""
        return self.settings.make_job(self.prompts.prompt, self.prompts.negative_prompt)

    @on(PromptArea.Submitted)
    def action_generate(self) -> None:
        """Queue the job that the panes describe."""
        draft = self.draft()
        if isinstance(draft, Job):
            self._submit(draft)
        else:
            self.notify(draft, severity="warning", markup=False)

    def action_again(self) -> None:
        """Queue it with a fresh random seed."""
        self.settings.clear_seed()
        self.action_generate()

    def action_cancel(self) -> None:
        """End the running job, or the load that is under way, or the next job that waits."""
        snapshot = self.client.snapshot
        if snapshot is None:
            return
        job = snapshot.running or next(iter(snapshot.waiting), None)
        if job is not None:
            self.ask(Cancel(job_id=job.job.id))
        elif snapshot.loading is not None:
            self.ask(CancelLoad(model=snapshot.loading.model))
        else:
            self.notify("Nothing is running.")

    def load_model(self) -> None:
        """Bring the chosen model to the device now."""
        if self.settings.model is not None:
            self.ask(LoadModel(model=self.settings.model.name))

    @on(SettingsPane.ModelChosen)
    def _model_chosen(self) -> None:
        if self.client.snapshot is not None:
            self.show_state(self.client.snapshot)

    @work(group="commands")
    async def _submit(self, job: Job) -> None:
        try:
            await self.client.submit(job)
        except LatenttyError as error:
            self.preview.show_problem(error.problem)
            return
        self.settings.drawn(job)
