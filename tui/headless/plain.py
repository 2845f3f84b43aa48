"""`latentty --plain`: the same work line by line, for screen readers, slow lines and terminals without a cursor."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Final, TextIO

import msgspec

from tui.client import EngineClient
from tui.headless.stopping import unless
from tui.library.paths import Paths
from tui.library.plain_text import plain
from tui.library.schedulers import SCHEDULERS, find_scheduler
from tui.protocol.commands import Cancel, ClientCommand, Pause, Resume, Retry
from tui.protocol.events import (
    ClientEvent,
    EngineState,
    ImageSaved,
    JobCancelled,
    JobDone,
    JobFailed,
    JobInterrupted,
    JobNote,
    JobQueued,
    JobRecord,
    JobStarted,
    Loading,
    ModelInfo,
    Step,
    Warning,
)
from tui.protocol.fields import complaints, job_fields
from tui.protocol.frames import Preview
from tui.protocol.job import Job, new_job_id, random_seed
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.protocol.snapshot import Snapshot

QUARTERS: Final = 4
"""How often a load or a picture says how far it is, from its start to its end."""

WELCOME: Final = "Latentty. Type what the picture shows and press Enter. /help lists the commands, /quit leaves."

NUMBERS: Final = ("width", "height", "steps", "guidance_scale", "count", "seed")
"""What `/set` takes as a number, beside `size`."""


class PlainSession:
    """Reads a line, does what it says, and tells what happens as sentences, each on a line of its own."""

    def __init__(self, paths: Paths, lines: TextIO, told: TextIO) -> None:
        self._client = EngineClient(paths, self)
        self._lines = lines
        self._told = told
        self._attached = asyncio.Event()
        self._given_up = asyncio.Event()
        self._model: ModelInfo | None = None
        self._values: dict[str, object] = {}
        self._negative = ""
        self._last: Job | None = None
        self._said = ""
        self._part = ("", 0)
        self._changed = asyncio.Event()
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._commands: dict[str, tuple[str, Callable[[str], object]]] = {
            "help": ("lists the commands", self._help),
            "model": ("NAME chooses a model; without a name, lists them", self._choose_model),
            "negative": ("TEXT is what pictures should not show; without a text, nothing", self._set_negative),
            "set": ("NAME VALUE changes a setting; without a name, tells them all", self._set),
            "again": ("draws the last prompt with a new seed", self._again),
            "queue": ("tells what runs and waits", self._queue),
            "cancel": ("ends the running job", self._cancel),
            "retry": ("queues the last failed job again", self._retry),
            "pause": ("starts no further job", lambda _: self._ask(Pause(), "Paused.")),
            "resume": ("starts jobs again", lambda _: self._ask(Resume(), "Goes on.")),
            "quit": ("leaves; the engine goes on", lambda _: None),
        }

    async def run(self) -> int:
        """Until the user leaves or the input ends; the exit status, 1 where a script has no engine."""
        staying = asyncio.create_task(self._client.run())
        try:
            self._say(WELCOME)
            return 1 if await unless(self._given_up, self._serve()) is None else 0
        finally:
            staying.cancel()

    async def _serve(self) -> bool:
        await self._attached.wait()
        threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), daemon=True).start()
        while (line := await self._typed.get()) and line.strip() != "/quit":
            await self._obey(line.strip())
        await self._leave(patiently=not line)
        return True

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand on each line; a thread that nobody waits for, because a read cannot be ended by Ctrl+C."""
        while line := self._lines.readline():
            loop.call_soon_threadsafe(self._typed.put_nowait, line)
        loop.call_soon_threadsafe(self._typed.put_nowait, "")

    async def _leave(self, *, patiently: bool) -> None:
        """Say goodbye; where the input was a file that ended, once everything that it asked for is made."""
        jobs = self._snapshot.jobs
        while patiently and self._last is not None and (last := jobs.get(self._last.id)) is not None and last.open:
            self._changed.clear()
            await self._changed.wait()
        self._say("Goodbye. The engine stays ready.")

    async def _obey(self, line: str) -> None:
        try:
            if not line.startswith("/"):
                await self._draw(line)
                return
            word, _, rest = line[1:].partition(" ")
            if word not in self._commands:
                raise bad_request(f"There is no command /{word}.", "/help lists them.")
            done = self._commands[word][1](rest.strip())
            if asyncio.iscoroutine(done):
                await done
        except LatenttyError as error:
            self._say(str(error.problem))

    # ---- commands ----------------------------------------------------------------------------------------------

    async def _draw(self, prompt: str) -> None:
        if prompt:
            self._last = self._job(prompt)
            await self._client.submit(self._last)

    async def _again(self, _: str) -> None:
        if self._last is None:
            raise bad_request("Nothing was drawn yet.", "Type what the picture shows.")
        await self._draw(self._last.prompt)

    def _job(self, prompt: str) -> Job:
        model = self._chosen
        defaults = {name: getattr(model, name) for name in ("width", "height", "steps", "guidance_scale", "scheduler")}
        values = {"seed": random_seed(), **defaults, **self._values}
        job = msgspec.convert(
            {"id": new_job_id(), "model": model.name, "prompt": prompt, "negative_prompt": self._negative, **values},
            Job,
        )
        if wrong := complaints(job):
            raise bad_request(" ".join(wrong), "/set tells the settings.")
        return job

    @property
    def _chosen(self) -> ModelInfo:
        """The model that draws: the one chosen here, or the one used last."""
        models = {model.name: model for model in self._snapshot.models if model.problem is None}
        model = self._model or models.get(self._snapshot.last_model) or next(iter(models.values()), None)
        if model is None:
            raise LatenttyError(
                Problem(code="model_missing", cause="No model was found.", hint="Look at: latentty models")
            )
        return model

    def _help(self, _: str) -> None:
        for name, (told, _call) in self._commands.items():
            self._say(f"/{name} {told}.")

    async def _choose_model(self, name: str) -> None:
        if name:
            self._model = await self._client.model(name)
            self._say(f"Model {self._model.name}, {self._model.width} by {self._model.height} pixels.")
            return
        for model in self._snapshot.models:
            chosen = ", chosen" if model.name == self._chosen.name else ""
            self._say(f"{model.name}, {model.family}{chosen}.")

    def _set_negative(self, text: str) -> None:
        self._negative = text
        self._say(f"Pictures should not show: {text}." if text else "No negative prompt.")

    def _set(self, text: str) -> None:
        name, _, value = text.partition(" ")
        value = value.strip()
        match name:
            case "":
                self._tell_settings()
            case "size":
                width, _, height = value.lower().replace("×", "x").partition("x")
                self._set_number("width", width)
                self._set_number("height", height or width)
            case "scheduler":
                found = find_scheduler(value, self._chosen.schedulers)
                if found is None:
                    known = ", ".join(SCHEDULERS[one].label for one in self._chosen.schedulers if one in SCHEDULERS)
                    raise bad_request(f"There is no scheduler called {value!r}.", f"There are: {known}.")
                self._values["scheduler"] = found.id
                self._say(f"Scheduler {found.label}.")
            case "seed" if value in ("", "random"):
                self._values.pop("seed", None)
                self._say("Seed random.")
            case _:
                self._set_number("guidance_scale" if name == "guidance" else name, value)

    def _set_number(self, name: str, value: str) -> None:
        if name not in NUMBERS:
            raise bad_request(
                f"There is no setting called {name!r}.", "There are: size, steps, guidance, scheduler, seed, count."
            )
        field = job_fields()[name]
        try:
            number = int(value) if field.whole else float(value)
        except ValueError:
            raise bad_request(f"{field.label} must be a number, not {value!r}.", f"It is {field.range}.") from None
        if (complaint := field.complaint(number)) is not None:
            raise bad_request(complaint, field.help)
        self._values[name] = number
        self._say(f"{field.label} {number:g}.")

    def _tell_settings(self) -> None:
        job = self._job("")
        self._say(f"Model {job.model}. Size {job.width} by {job.height}. Steps {job.steps}.")
        scheduler = SCHEDULERS[job.scheduler].label if job.scheduler in SCHEDULERS else job.scheduler
        seed = job.seed if "seed" in self._values else "random"
        self._say(f"Guidance {job.guidance_scale:g}. Scheduler {scheduler}. Seed {seed}. Count {job.count}.")

    def _queue(self, _: str) -> None:
        running, waiting = self._snapshot.running, self._snapshot.waiting
        if running is not None:
            self._say(f"Running: {running.job.prompt or 'no prompt'}.")
        self._say(f"{len(waiting)} waiting." if waiting else "Nothing waits.")
        for record in waiting[:10]:
            self._say(f"Waiting: {record.job.prompt or 'no prompt'}.")

    async def _cancel(self, _: str) -> None:
        record = self._snapshot.running or next(iter(self._snapshot.waiting), None)
        if record is None:
            raise bad_request("Nothing is running.")
        await self._client.request(Cancel(job_id=record.job.id))

    async def _retry(self, _: str) -> None:
        failed = [record for record in self._snapshot.jobs.values() if record.state == "failed"]
        if not failed:
            raise bad_request("No job failed.")
        await self._client.request(Retry(job_id=failed[-1].job.id))

    async def _ask(self, command: ClientCommand, done: str) -> None:
        await self._client.request(command)
        self._say(done)

    @property
    def _snapshot(self) -> Snapshot:
        assert self._client.snapshot is not None, "lines are read once an engine answers"
        return self._client.snapshot

    # ---- what the client tells ---------------------------------------------------------------------------------

    def engine_attached(self, snapshot: Snapshot) -> None:
        if not self._attached.is_set():
            self._say(f"Ready. Model {self._chosen.name}.")
        self._attached.set()
        self._changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        match event:
            case JobQueued(record=record):
                self._say(f"Queued. {_about(record)}")
            case JobStarted(record=record):
                self._say(f"Started. {_about(record)}")
            case Loading(model=model, done_bytes=done, total_bytes=total):
                self._say_part(f"Loading {model}", done, total)
            case Step(index=index, step=step, steps=steps):
                self._say_part(f"Picture {index + 1}", step, steps, f"step {step} of {steps}")
            case ImageSaved(picture=picture):
                self._say(f"Saved {picture.path}")
            case JobDone():
                self._say("Done.")
            case JobCancelled():
                self._say("Cancelled.")
            case JobFailed(problem=problem) | JobInterrupted(problem=problem) | Warning(problem=problem):
                self._say(str(problem))
            case JobNote(text=text):
                self._say(text)
            case EngineState(hold=Problem() as hold):
                self._say(f"The queue waits. {hold}")
        self._changed.set()

    def engine_preview(self, preview: Preview) -> None:
        pass

    def engine_detached(self, problem: Problem | None) -> None:
        if problem is None:
            return
        self._say(str(problem))
        if not self._lines.isatty():  # nobody is there to mend it and to see that it goes on
            self._given_up.set()

    def _say_part(self, what: str, done: int, total: int, told: str = "") -> None:
        """How far something is, at its quarters: a screen reader reads every line."""
        quarter = QUARTERS * done // max(total, 1)
        if quarter and (what, quarter) != self._part:
            self._part = what, quarter
            self._say(f"{what}, {told or f'{100 * done // max(total, 1)} percent'}.")

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            print(plain(text), file=self._told, flush=True)


def _about(record: JobRecord) -> str:
    pictures = "1 picture" if record.job.count == 1 else f"{record.job.count} pictures"
    return f"{pictures}, seed {record.job.seed}, {record.job.width} by {record.job.height}."


def plain_session(paths: Paths) -> int:
    """Serve the terminal, or whatever stands in its place; the exit status."""
    try:
        return asyncio.run(PlainSession(paths, sys.stdin, sys.stdout).run())
    except KeyboardInterrupt:
        return 130
