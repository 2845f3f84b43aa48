"""The studio: prompt, settings and preview on one screen."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from PIL import Image
from textual import on, work
from textual.app import SuspendNotSupported
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Select

from tui.client import EngineClient
from tui.library.paths import short_path
from tui.library.plain_text import plain
from tui.library.saved_prompts import SavedPrompt, delete_prompt, read_saved_prompts, save_prompt
from tui.panes.adapter_rows import AdapterRow
from tui.panes.control_rows import ControlRows
from tui.panes.preview import PreviewPane
from tui.panes.prompt import PromptArea, PromptPane
from tui.panes.settings import SettingsPane, changed
from tui.protocol.commands import (
    Cancel,
    CancelLoad,
    CountTokens,
    EnsureControlNet,
    GetJob,
    GetLibrary,
    GetPrompts,
    KeepDraft,
    LoadModel,
    MarkPictures,
    ReleaseControlNet,
    RestorePictures,
    Retry,
    SwapMode,
    TrashPictures,
)
from tui.protocol.events import (
    ClientEvent,
    ImageSaved,
    JobCancelled,
    JobFailed,
    JobInterrupted,
    JobQueued,
    JobRecord,
    JobStarted,
    ModelsFound,
    ModeRemembered,
    Picture,
    PicturesChanged,
)
from tui.protocol.frames import Preview
from tui.protocol.job import MODES, Edges, Job, Mode, new_job_id, random_seed
from tui.protocol.library import FileKind, LibraryPage, ModelFile
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.prompts import Draft, PastPrompt, TokenCounts, drawn_by
from tui.protocol.snapshot import Snapshot, apply
from tui.screens.choose import ChooseScreen
from tui.screens.editor import edited
from tui.screens.engine_screen import EngineScreen, tell
from tui.screens.library_choice import choose_file, choose_words, fitting, in_prompt
from tui.screens.mask_editor import MaskEditor, fetch_to_paint
from tui.screens.undo import NOTHING_TO_UNDO, Undo, undo_key
from tui.widgets.ask_line import AskLine
from tui.widgets.path_input import PathInput
from tui.widgets.row import Choice

VARIATIONS: Final = 4
"""Pictures that one key makes like another."""

COUNT_AFTER: Final = 0.4
"""Seconds without typing after which tokens are counted."""

DRAFT_AFTER: Final = 1.0
"""Seconds after a change at which what the panes say is kept."""

SOON: Final = 0.5
"""Seconds after which it is shown what is waited for."""

SEND: Final = {
    "i  Begin with it: img2img": "screen.send('img2img')",
    "m  Draw a part of it anew: inpaint": "screen.send('inpaint')",
    "o  Grow its edges: outpaint": "screen.send('outpaint')",
    "c  Hold pictures to its lines: ControlNet": "screen.send('control')",
    "v  Four variations": "screen.variations",
    "r  Recall all its settings": "screen.recall",
    "k  Keep its seed": "screen.keep_seed",
    "f  Favourite, or no longer": "screen.favourite",
    "d  Delete": "screen.trash",
    "y  Copy its path": "screen.copy",
}
"""What can be done with a picture; the letters do it too, where the preview has the focus."""


LIBRARY_HELP: Final = "Choose a LoRA, embedding, VAE or ControlNet for what has the focus"


class StudioScreen(EngineScreen):
    """Lays the panes out, makes jobs of what they say, and hands them what they show."""

    CSS_PATH = "studio.tcss"
    PLACE = "studio"
    AUTO_FOCUS = "#prompt"
    ABOUT = (
        "Type what the picture shows and press Enter. The picture forms in the preview and lands in your pictures "
        "folder. The engine does the work: close this window, lose the connection, and it goes on; open Latentty "
        "again, and all is there. Tab and Shift+Tab go through prompt, settings and picture."
    )
    BINDINGS = [
        Binding("ctrl+g", "generate", "Generate", priority=True, id="generate"),
        Binding("ctrl+x", "cancel", "Cancel", priority=True, id="cancel"),
        Binding("ctrl+e", "send_to", "Send to…", priority=True, id="send", tooltip="What to do with the picture"),
        Binding("ctrl+r", "prompts", "Prompts", priority=True, id="prompts", tooltip="Past and saved prompts, styles"),
        Binding("ctrl+f", "library", "Library", priority=True, id="library", tooltip=LIBRARY_HELP),
        Binding("ctrl+o", "editor", "Editor", priority=True, show=False, id="editor", tooltip="Write it in $EDITOR"),
        Binding("ctrl+n", "again", "New seed", priority=True, id="again", tooltip="Generate with a new seed"),
    ]

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self.prompts = PromptPane()
        self.settings = SettingsPane(id="settings")
        self.preview = PreviewPane(id="preview")
        self._greeted = False
        self._known = ("", "")
        """The prompts that were drawn or filled in last: what differs was typed and is nowhere else."""
        self._frame: Preview | None = None
        self._recent: dict[int, Image.Image] = {}
        self._selected = 0
        self._fetched = 0
        """The picture that is shown, or was before one began to form."""
        self._forming = False
        """Whether what is shown is a picture as it forms."""
        self._count = ""
        self._undo = Undo()
        self._kept: Draft | None = None
        self._resting: Timer | None = None
        self._ask = AskLine(id="ask")
        self._counting: Timer | None = None

    def compose_body(self) -> Iterable[Widget]:
        """The panes."""
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield self.prompts
                yield self.settings
            yield self.preview
        yield self._ask

    # ---- what the engine tells ---------------------------------------------------------------------------------

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring every line up to date, and the picture that forms."""
        super().show_state(snapshot)
        if snapshot.running is None and self.settings.model is not None:
            self.status.model = self.settings.model.name
        self.preview.show_state(snapshot)
        self.settings.show_state(snapshot)
        if self._frame is not None and not self._selected:  # an older one that was gone to stays
            frame, self._frame = self._frame, None
            forming = Image.frombytes("RGB", (frame.width, frame.height), frame.rgb)
            self.preview.show_picture(forming, live=True)
            self._forming = True
            self._show_caption()

    def engine_attached(self, snapshot: Snapshot) -> None:
        """Offer the engine's models; the first time, take up where the user left off."""
        said = self.settings.said()
        self.settings.set_models(snapshot.models, snapshot.last_model)
        self.preview.show_problem(snapshot.engine.hold)
        if not self._greeted:
            self._greeted = True
            jobs = [record.job for record in snapshot.jobs.values() if record.started is not None]
            self.call_after_refresh(self._remember, jobs, snapshot.draft, said)
        self._look_back()
        self._fetch_recent(snapshot.pictures)
        if snapshot.pictures and snapshot.running is None:
            self._fetch_picture(snapshot.pictures[0])

    def engine_event(self, event: ClientEvent, snapshot: Snapshot) -> None:
        """Fetch what was saved, and tell what failed until something else happens."""
        match event:
            case ImageSaved(picture=picture):
                self._frame = None
                if self._selected:
                    self._selected = min(self._selected + 1, len(snapshot.pictures) - 1)
                    self._show_caption()
                else:
                    self._fetch_picture(picture)
                self._fetch_recent(snapshot.pictures)
            case PicturesChanged(recent=recent) if recent is not None:
                self._show_left(snapshot)
            case ModelsFound():
                self.settings.set_models(snapshot.models, snapshot.last_model)
            case JobQueued(record=record):
                written = record.job.as_written
                self.prompts.remember([PastPrompt(prompt=written.prompt, negative_prompt=written.negative_prompt)])
            case JobStarted():
                self.preview.show_problem(None)
            case JobFailed(problem=problem) | JobInterrupted(problem=problem):
                self.preview.show_problem(problem)
                self._leave_forming()
            case JobCancelled():
                self._leave_forming()
            case _:
                if snapshot.engine.hold is not None:
                    self.preview.show_problem(snapshot.engine.hold)

    def _leave_forming(self) -> None:
        """What formed will not be finished: show the last picture that was."""
        self._frame = None
        if self._forming and (shown := self.shown) is not None:
            self._fetch_picture(shown)
        elif self._forming:
            self._forming = False
            self.preview.show_picture(None)

    def engine_preview(self, preview: Preview) -> None:
        """The picture as it forms; shown with the next state, the newest one only."""
        self._frame = preview

    def engine_detached(self, problem: Problem | None) -> None:
        """Say why no engine answers."""
        super().engine_detached(problem)
        self._frame = None
        self.preview.show_problem(problem)

    def _remember(self, jobs: list[Job], draft: Draft | None, said: Callable[[], None]) -> None:
        """What was left fills the panes, or the last of `jobs`; what was typed and `said` before that stays."""
        typed = self.prompts.texts
        if draft is not None:
            self._fill(drawn_by(draft))
            self.settings.restore(draft.state)
            self.settings.keep_in(draft.output)
            written = jobs[-1].as_written if jobs else None
            self._known = (written.prompt, written.negative_prompt) if written is not None else ("", "")
        elif jobs:
            self._fill(jobs[-1])
        self._kept = self._draft()
        if any(typed):
            self.prompts.fill(*(own or left for own, left in zip(typed, self.prompts.texts, strict=True)))
        said()

    @on(PromptArea.Changed)
    @on(Input.Changed)
    @on(Select.Changed)
    @on(Checkbox.Changed)
    def _keep_soon(self) -> None:
        """Keep what the panes say, also while one goes on typing: the terminal may be lost at any moment."""
        if self._resting is None and self._greeted:
            self._resting = self.set_timer(DRAFT_AFTER, self._keep_draft)

    async def keep_all(self) -> None:
        """Have the engine keep what was typed last, if it answers soon."""
        draft = self._draft()  # what was typed in the same burst as the key that ends the app is told of to nobody yet
        if draft is not None and self._kept not in (None, draft) and self.client.is_attached:
            with suppress(TimeoutError):
                async with asyncio.timeout(SOON):
                    await self.result(KeepDraft(draft=draft))

    def _keep_draft(self) -> None:
        self._resting = None
        draft = self._draft()
        if draft is not None and draft != self._kept and self.client.is_attached:
            self._kept = draft
            self.ask(KeepDraft(draft=draft))

    def _draft(self) -> Draft | None:
        left, (prompt, negative) = self.settings.leaving(), self.prompts.texts
        if left is None:
            return None
        return Draft(
            model=left.model,
            mode=left.mode,
            prompt=prompt,
            negative_prompt=negative,
            state=left.state,
            output=self.settings.output,
            **self.settings.second_prompts,
        )

    def _show_left(self, snapshot: Snapshot) -> None:
        """Show the pictures that are left, or that came back."""
        self._selected = max(min(self._selected, len(snapshot.pictures) - 1), 0)
        self._fetch_recent(snapshot.pictures)
        if snapshot.pictures and snapshot.pictures[self._selected].id != self._fetched:
            self._fetch_picture(snapshot.pictures[self._selected])
            return
        if not snapshot.pictures:
            self._fetched = 0
            self.preview.show_picture(None)
        self._show_caption()

    @work(group="picture", exclusive=True)
    async def _fetch_picture(self, picture: Picture) -> None:
        image = await self.fetch(picture.id, *self.preview.picture_pixels)
        if image is not None:
            self._fetched, self._forming = picture.id, False
            self.preview.show_picture(image)
            self._show_caption()

    @work(group="recent", exclusive=True)
    async def _fetch_recent(self, pictures: list[Picture]) -> None:
        first = max(0, self._selected - self.preview.recent_wanted + 1)
        wanted = pictures[first : first + self.preview.recent_wanted]
        for picture in wanted:
            if picture.id not in self._recent:
                image = await self.fetch(picture.id, self.preview.recent_pixels, self.preview.recent_pixels)
                if image is not None:
                    self._recent[picture.id] = image
        self._recent = {one.id: self._recent[one.id] for one in wanted if one.id in self._recent}
        self.preview.show_recent(self._recent)

    def take_over(self, job: Job) -> None:
        """Fill the panes with everything that `job` says, its seed locked."""
        self._replace(job, job.seed)

    def _fill(self, job: Job) -> None:
        written = job.as_written
        self.prompts.fill(written.prompt, written.negative_prompt)
        self.settings.fill(written)
        self._known = self.prompts.texts

    def _replace(self, job: Job, seed: int) -> None:
        """Fill the panes with `job`, its seed locked, so that what they say now can be taken back."""
        if self.settings.model is not None:
            before = self.settings.make_job(*self.prompts.texts)
            locked = before.seed if self.settings.is_locked else None

            def back() -> None:
                self._fill(before)
                if locked is None:
                    self.settings.clear_seed()
                else:
                    self.settings.set_seed(locked)

            self._can_take_back("The prompt and the settings are as before.", back)
        self._fill(job)
        self.settings.set_seed(seed)

    def _can_take_back(self, told: str, back: Callable[[], None]) -> None:
        """Something replaces what is written, and `back` brings that back."""
        texts = self.prompts.texts
        self._undo.add_here(told, back)
        if any(texts) and texts != self._known:
            leave = "" if self.preview.has_focus else "Esc and then "
            self.notify(f"What was typed is replaced; {leave}{undo_key(self.app, 'picture.undo')} brings it back.")

    # ---- what the user asks for --------------------------------------------------------------------------------

    @on(SettingsPane.ModeEntered)
    def _mode_entered(self, event: SettingsPane.ModeEntered) -> None:
        """Show what the mode remembers, at once: what came with an answer would replace what was typed meanwhile."""
        snapshot, leaving = self.client.snapshot, event.leaving
        assert snapshot is not None, "modes are those of its models"
        if leaving is not None:
            apply(snapshot, ModeRemembered(model=leaving.model, mode=leaving.mode, state=leaving.state))
        known = snapshot.mode_states.get(event.model.name, {}).get(event.mode, event.model.first_state)
        self.settings.restore(changed(known, event.then))
        self.ask(SwapMode(model=event.model.name, mode=event.mode, leaving=leaving))

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
        count, self._count = int(self._count or 0), ""
        self._show_caption()
        return self.settings.make_job(self.prompts.prompt, self.prompts.negative_prompt, count or None)

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

    # ---- the picture that is shown -----------------------------------------------------------------------------

    @property
    def shown(self) -> Picture | None:
        """The picture that keys act on."""
        pictures = self.client.snapshot.pictures if self.client.snapshot is not None else []
        return pictures[min(self._selected, len(pictures) - 1)] if pictures else None

    def _show_caption(self) -> None:
        picture = self.shown
        told = name = ""
        if picture is not None and self.client.snapshot is not None:
            which = f"{self._selected + 1} of {len(self.client.snapshot.pictures)}"
            which = f"★ {which}" if picture.favourite else which
            which = f"forming · keys act on {which}" if self._forming else which
            told = f"{which} · seed {picture.seed} · {picture.width}×{picture.height}"
            name = Path(picture.path).name
        self.preview.show_caption(f"{self._count} × …   {told}" if self._count else told, name)

    def action_select(self, by: int) -> None:
        """Show an older picture, or a newer one."""
        snapshot = self.client.snapshot
        if snapshot is not None and snapshot.pictures:
            self._selected = min(max(self._selected + by, 0), len(snapshot.pictures) - 1)
            self._fetch_picture(snapshot.pictures[self._selected])
            self._fetch_recent(snapshot.pictures)

    def action_count(self, digit: int) -> None:
        """Type how many pictures the next job makes."""
        typed = f"{self._count}{digit}".lstrip("0")
        self._count = typed if int(typed or 0) <= 1000 else self._count
        self._show_caption()

    def action_focus_prompt(self) -> None:
        """Type a prompt."""
        self._count = ""
        self._show_caption()
        self.query_one("#prompt").focus()

    def action_focus_settings(self) -> None:
        """Change a setting."""
        self.query_one("#model").focus()

    def action_focus_picture(self) -> None:
        """Let single letters act on the picture."""
        self.set_focus(self.preview)  # at once: what is typed next is meant for it

    def action_send(self, where: str) -> None:
        """Begin with the picture in another mode, or have a ControlNet look at it."""
        picture = self.shown
        if picture is None:
            self.notify("There is no picture yet.")
        elif where == "control":
            name = self.settings.add_control(picture.path)
            if name is None:
                self.notify("No ControlNet that was found fits this model and mode.", severity="warning")
        elif where in ("inpaint", "outpaint"):
            size = self.settings.fitted(picture.width, picture.height)
            self._paint_mask(picture.path, size, Edges() if where == "outpaint" else None)
        else:
            mode = next(one for one in MODES if one == where)
            size = self.settings.fitted(picture.width, picture.height)
            if not self.settings.enter(mode, image=picture.path, mask="", **size):
                self.notify(f"This model has no mode {mode}.", severity="warning")

    @on(Input.Submitted, "#mask")
    def _mask_wanted(self) -> None:
        """Enter, where the mask's file is named, paints one."""
        begun = self.settings.mask
        if self.settings.is_mask_of_another:
            begun = ""
            self.notify("The mask that is named was made for another picture: a new one begins.")
        self._paint_mask(self.settings.image, {}, begun=begun)

    @on(Input.Submitted, "#grow_left")
    @on(Input.Submitted, "#grow_top")
    @on(Input.Submitted, "#grow_right")
    @on(Input.Submitted, "#grow_bottom")
    def _edges_wanted(self) -> None:
        """Enter, where an edge is told, grows them on the picture."""
        self._paint_mask(self.settings.image, {}, self.settings.grow)

    @work(group="mask", exclusive=True)
    async def _paint_mask(self, path: str, size: dict[str, int], grow: Edges | None = None, begun: str = "") -> None:
        """Paint a mask on a picture, from the one at `begun` on, and inpaint with it; or, from `grow` on, outpaint."""
        model, wanted = self.settings.model, "inpaint" if grow is None else "outpaint"
        if model is None or wanted not in model.modes:
            self.notify(f"This model has no mode {wanted}.", severity="warning")
            return
        picture = await self._to_paint(path)
        if picture is None:
            return
        mask = await self._to_paint(begun) if begun else None
        draft = await self._begun_on(path) if grow is None else None
        editor = MaskEditor(self.client, picture, path, grow=grow, begun=mask, draft=draft)
        painted = await self.app.push_screen_wait(editor)
        if painted is None:
            return
        mode: Mode = "outpaint" if painted.grow.any else "inpaint"
        then: dict[str, Any] = {"mask": painted.mask, **size}
        if painted.grow.any:
            edges, (width, height) = painted.grow, picture.size
            grown = edges.left + width + edges.right, edges.top + height + edges.bottom
            then = {"grow": edges, **self.settings.fitted(*grown)}
        if (self.settings.mode, self.settings.image) == (mode, path):
            self.settings.take(then)
        elif not self.settings.enter(mode, image=path, **then):
            self.notify(f"This model has no mode {mode}.", severity="warning")

    async def _to_paint(self, path: str) -> Image.Image | None:
        """A picture or a mask from the engine's box; None when it cannot be had, which is told."""
        name, began = Path(path).name, time.monotonic()

        def arrived(done: int, total: int) -> None:
            if (seconds := time.monotonic() - began) > SOON:
                self.preview.show_reading(name, done, total, seconds)

        waiting = self.set_timer(SOON, lambda: self.preview.show_reading(name))
        try:
            return await fetch_to_paint(self.client, path, arrived=arrived)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return None
        finally:
            waiting.stop()
            self.preview.show_read()

    async def _begun_on(self, path: str) -> Image.Image | None:
        """The mask of a picture that was begun and not finished, if there is one."""
        try:
            draft = await fetch_to_paint(self.client, path, draft=True)
        except LatenttyError as error:
            if error.problem.code != "not_found":
                tell(self.app, error.problem)
            return None
        return draft if draft.getbbox() else None

    @work(group="recall", exclusive=True)
    async def action_recall(self) -> None:
        """Take over everything that made the picture, its seed too."""
        picture = self.shown
        job = await self._job_of(picture)
        if picture is not None and job is not None:
            self._replace(job, picture.seed)

    @work(group="vary", exclusive=True)
    async def action_variations(self) -> None:
        """Queue pictures made like this one with other seeds; four, or as many as were typed."""
        job = await self._job_of(self.shown)
        count, self._count = int(self._count or VARIATIONS), ""
        self._show_caption()
        if job is not None:
            self._submit(replace(job.as_written, id=new_job_id(), seed=random_seed(), count=count, file_stem=""))

    async def _job_of(self, picture: Picture | None) -> Job | None:
        if picture is None:
            self.notify("There is no picture yet.")
            return None
        answer = await self.result(GetJob(job_id=picture.job_id))
        return msgspec.msgpack.decode(answer, type=JobRecord).job if answer is not None else None

    def action_keep_seed(self) -> None:
        """The next job begins with this picture's seed."""
        if self.shown is not None:
            self.settings.set_seed(self.shown.seed)
            self.notify(f"Seed {self.shown.seed} is locked.")

    @work(group="commands")
    async def action_favourite(self) -> None:
        """Make the picture a favourite, or no longer."""
        picture = self.shown
        if picture is None:
            self.notify("There is no picture yet.")
            return
        wanted = not picture.favourite
        if await self.result(MarkPictures(pictures=[picture.id], favourite=wanted)) is not None:
            self.notify("It is a favourite now." if wanted else "It is no favourite any more.")

    @work(group="commands")
    async def action_trash(self) -> None:
        """Throw the picture away; it can be taken back."""
        picture = self.shown
        if picture is not None and await self.result(TrashPictures(pictures=[picture.id])) is not None:
            self._undo.add("The picture is back.", RestorePictures(pictures=[picture.id]))
            key = undo_key(self.app, "picture.undo")
            self.notify(f"It is in the trash. {key} brings it back; F3 and b lead to the trash.")

    @work(group="commands")
    async def action_undo(self) -> None:
        """Take back what was thrown away or cancelled last."""
        done = self._undo.take()
        if done is None:
            self.notify(NOTHING_TO_UNDO)
            return
        for command in done.commands:
            await self.result(command)
        if done.then is not None:
            done.then()
        self.notify(done.told)

    def action_copy(self) -> None:
        """Put the picture's path on the clipboard of the terminal."""
        if self.shown is not None:
            self.app.copy_to_clipboard(self.shown.path)
            self.notify(f"{plain(short_path(self.shown.path))} is copied.", markup=False)

    @work(group="choose", exclusive=True)
    async def action_send_to(self) -> None:
        """Choose what to do with the picture."""
        chosen = await self.app.push_screen_wait(
            ChooseScreen("The picture shown", list(SEND), "a letter", "".join(one[0] for one in SEND))
        )
        if chosen is not None:
            await self.run_action(list(SEND.values())[chosen])

    # ---- prompts -----------------------------------------------------------------------------------------------

    @work(group="choose", exclusive=True)
    async def action_prompts(self) -> None:
        """Take a prompt of the past, a saved one, or lay a style over what is written."""
        saved, problems = read_saved_prompts(self.client.paths.prompts)
        for problem in problems:
            tell(self.app, problem)
        past = await self._past()
        offered = [(f"{'style' if one.is_style else 'saved'} {name}: {one.prompt}", one) for name, one in saved.items()]
        offered += [(one.prompt, SavedPrompt(prompt=one.prompt, negative_prompt=one.negative_prompt)) for one in past]
        if not offered:
            self.notify("No prompt was drawn or saved yet.")
            return
        told, names = [text for text, _ in offered], list(saved)

        def delete(number: int) -> bool:
            return self._delete_prompt(names[number])

        dialog = ChooseScreen("Prompts", told, "part of a prompt", deletable=len(names), delete=delete)
        chosen = await self.app.push_screen_wait(dialog)
        if chosen is not None:
            one = offered[chosen][1]
            here = self.prompts.texts
            self._can_take_back("The prompt is as before.", lambda: self.prompts.fill(*here))
            self.prompts.fill(*(one.over(*here) if chosen < len(saved) else (one.prompt, one.negative_prompt)))

    async def _past(self) -> list[PastPrompt]:
        """What was drawn before, the newest first."""
        answer = await self.result(GetPrompts())
        return [] if answer is None else msgspec.msgpack.decode(answer, type=list[PastPrompt])

    @work(group="past", exclusive=True)
    async def _look_back(self) -> None:
        self.prompts.remember(await self._past())

    def _delete_prompt(self, name: str) -> bool:
        try:
            delete_prompt(self.client.paths.prompts, name)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return False
        return True

    # ---- the library -------------------------------------------------------------------------------------------

    @on(Input.Submitted, "#vae")
    @on(Input.Submitted, "#encoder")
    @on(Input.Submitted, ".lora")
    @work(group="choose", exclusive=True)
    async def action_library(self) -> None:
        """Choose a file of the library for what has the focus."""
        focused = self.focused
        if isinstance(focused, Choice) and focused.has_class("control-net"):
            await self._choose_controlnet(focused)
        elif isinstance(focused, PathInput) and focused.kind is not None:
            file = await self._choose_file("The library", [focused.kind])
            if file is not None:
                await self._take_file(focused, file)
        else:
            file = await self._choose_file("For the prompt", ["lora", "embedding"])
            if file is not None:
                await self._write_file(file)

    @work(group="choose", exclusive=True)
    async def use_file(self, file: ModelFile) -> None:
        """Name a LoRA or an embedding in the prompt."""
        await self._write_file(file)

    async def _write_file(self, file: ModelFile) -> None:
        """Where the cursor is, with the trigger words that the user wants."""
        words = await choose_words(self.app, file)
        area = self.focused if isinstance(self.focused, PromptArea) else self.query_one("#prompt", PromptArea)
        before = area.get_text_range((0, 0), area.cursor_location)
        gap = " " if before and not before[-1].isspace() else ""
        area.insert(gap + ", ".join(part for part in (in_prompt(file), words) if part))

    async def _choose_controlnet(self, choice: Choice) -> None:
        nets = self.settings.controlnets
        chosen = await self.app.push_screen_wait(ChooseScreen("ControlNets that fit", nets, "part of a name"))
        if chosen is not None:
            choice.value = nets[chosen]

    async def _choose_file(self, title: str, kinds: list[FileKind]) -> ModelFile | None:
        found: list[ModelFile] = []
        while (answer := await self.result(GetLibrary(kinds=kinds, offset=len(found), limit=1000))) is not None:
            page = msgspec.msgpack.decode(answer, type=LibraryPage)
            found += page.files
            if len(found) >= page.total or not page.files:
                break
        files = fitting(found, self.settings.model)
        if not files:
            self.notify(f"The library has no {' or '.join(kinds)} that fits this model. F5 shows all there is.")
            return None
        return await choose_file(self.app, title, files)

    async def _take_file(self, place: PathInput, file: ModelFile) -> None:
        row = next((one for one in place.ancestors if isinstance(one, AdapterRow)), None)
        if row is None:
            place.value = file.path
            return
        row.take(file.path, file.trigger_words)
        if words := await choose_words(self.app, file):
            self.prompts.append(words)

    def action_save_prompt(self) -> None:
        """Ask for the name under which the prompt is kept."""
        self._ask.ask("save", "Save the prompt as", hint="a name; with {} in the prompt it is a style")

    @on(AskLine.Left)
    def _asked(self) -> None:
        self.query_one("#prompt").focus()

    @on(AskLine.Answered)
    def _save_prompt(self, event: AskLine.Answered) -> None:
        """Keep what is written, under a name."""
        name = event.value.strip()
        try:
            path = save_prompt(
                self.client.paths.prompts,
                name,
                SavedPrompt(prompt=self.prompts.prompt, negative_prompt=self.prompts.negative_prompt),
            )
        except LatenttyError as error:
            tell(self.app, error.problem)
        else:
            self.notify(f"Saved in {short_path(path)}.", markup=False)

    def action_editor(self) -> None:
        """Write the prompt in the user's own editor."""
        area = self.focused if isinstance(self.focused, PromptArea) else self.query_one("#prompt", PromptArea)
        try:
            with self.app.suspend():
                area.text = edited(area.text)
            area.move_cursor(area.document.end)
        except SuspendNotSupported:
            self.notify("This terminal cannot be left and come back to.", severity="warning")
        except LatenttyError as error:
            tell(self.app, error.problem)

    @on(PromptArea.Changed, "#prompt")
    @on(SettingsPane.ModelChosen)
    def _count_soon(self) -> None:
        """Count tokens once typing rests: an answer for every letter would be wasted on a slow line."""
        if self._counting is not None:
            self._counting.stop()
        self._counting = self.set_timer(COUNT_AFTER, self._count_tokens)

    @work(group="count", exclusive=True)
    async def _count_tokens(self) -> None:
        model = self.settings.model
        if model is not None and self.client.snapshot is not None:
            answer = await self.result(CountTokens(model=model.name, prompt=self.prompts.prompt))
            if answer is not None:
                self.prompts.show_counts(msgspec.msgpack.decode(answer, type=TokenCounts))

    def action_cancel(self) -> None:
        """End the running job, or the load that is under way, or the next job that waits."""
        snapshot = self.client.snapshot
        if snapshot is None:
            return
        job = snapshot.running or next(iter(snapshot.waiting), None)
        if job is not None:
            self._undo.add("The job waits again.", Retry(job_id=job.job.id))
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
        if self._selected:
            self.action_select(-self._selected)
        self.settings.drawn(job)
        self._known = job.prompt, job.negative_prompt
