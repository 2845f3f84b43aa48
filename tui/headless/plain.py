"""`latentty --plain`: the same work line by line, for screen readers, slow lines and terminals without a cursor."""

import argparse
import asyncio
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO, get_args

import msgspec

from tui.client import EngineClient
from tui.headless.generate import make_job, whole_path, with_words
from tui.headless.options import OPTIONS, Option, request
from tui.headless.stopping import unless
from tui.library.models import BUNDLED
from tui.library.paths import Paths, expanded
from tui.library.plain_text import plain
from tui.library.schedulers import SCHEDULERS
from tui.library.setting_fields import setting_fields
from tui.protocol.commands import (
    Cancel,
    ChangeSetting,
    ClientCommand,
    FindPictures,
    GetLibrary,
    Pause,
    Resume,
    Retry,
)
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
from tui.protocol.frames import Preview
from tui.protocol.gallery import PicturePage
from tui.protocol.job import Job
from tui.protocol.library import FileKind, LibraryPage
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.protocol.snapshot import Snapshot

QUARTERS: Final = 4
"""How often a load or a picture says how far it is, from its start to its end."""

WELCOME: Final = "Latentty. Type what the picture shows and press Enter. /help lists the commands, /quit leaves."

UNSAID: Final = ("", "none", "default", "random")
"""What takes back what was said before."""

FOUND: Final = 10
"""Pictures, or jobs, that are told at a time."""


class PlainSession:
    """Reads a line, does what it says, and tells what happens as sentences, each on a line of its own."""

    def __init__(self, paths: Paths, lines: TextIO, told: TextIO) -> None:
        self._client = EngineClient(paths, self)
        self._lines = lines
        self._told = told
        self._attached = asyncio.Event()
        self._given_up = asyncio.Event()
        self._model: ModelInfo | None = None
        self._options: dict[str, Any] = {}
        """What was said about pictures to come, by its place in the Request."""
        self._last: Job | None = None
        self._said = ""
        self._part = ("", 0)
        self._changed = asyncio.Event()
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._commands: dict[str, tuple[str, Callable[[str], object]]] = {
            "draw": ("TEXT draws it, also where it reads as a command", self._draw),
            "help": ("lists the commands; with the name of one, tells more of it", self._help),
            **{one.name: (_help(one), partial(self._say_option, one)) for one in OPTIONS},
            "model": ("NAME chooses a model; without a name, lists them", self._choose_model),
            "set": ("tells what holds for the next picture", self._set),
            "again": ("draws the last prompt with a new seed", self._again),
            "controlnets": ("lists those that fit the model", self._controlnets),
            "library": ("KIND lists files such as lora, vae or embedding, with their trigger words", self._library),
            "pictures": ("WORDS tells the last pictures that have these words in their prompt", self._pictures),
            "queue": ("tells what runs and waits", self._queue),
            "cancel": ("ends the running job", self._cancel),
            "retry": ("queues the last failed job again", self._retry),
            "pause": ("starts no further job", lambda _: self._ask(Pause(), "Paused.")),
            "resume": ("starts jobs again", lambda _: self._ask(Resume(), "Goes on.")),
            "settings": ("NAME VALUE changes how the program behaves; without, tells all of it", self._settings),
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
        self._model = await self._first_model()
        self._say(f"Ready. Model {self._model.name}.")
        threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), daemon=True).start()
        while (line := await self._typed.get()) and line.strip() not in ("/quit", "quit", "exit"):
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
            word, _, rest = self._meant(line).partition(" ")
            if word not in self._commands:
                raise bad_request(f"There is no command /{word}.", "/help lists them.")
            done = self._commands[word][1](rest.strip())
            if asyncio.iscoroutine(done):
                await done
        except LatenttyError as error:
            self._say(str(error.problem))

    def _meant(self, line: str) -> str:
        """The command that `line` gives: without a slash it is what to draw, but for a wish for help.

        Raises:
            LatenttyError: it may be either.
        """
        first, *others = line.split() or [""]
        names = all(word in self._commands for word in others)
        if line.startswith("/") or (first == "help" and names):
            return line.removeprefix("/")
        if first in self._commands and (names or others[0].isdecimal()):
            raise bad_request(
                f"{line!r} may be a command or what to draw.", f"Say /{line} for the one, /draw {line} for the other."
            )
        return f"draw {line}"

    # ---- commands ----------------------------------------------------------------------------------------------

    async def _draw(self, prompt: str, **other: object) -> None:
        if not prompt:
            return
        job = self._job(prompt, **other)
        if self._options.get("triggers"):
            job = await with_words(self._client, job)
        self._last = job
        await self._client.submit(job)

    async def _again(self, _: str) -> None:
        if self._last is None:
            raise bad_request("Nothing was drawn yet.", "Type what the picture shows.")
        await self._draw(self._last.prompt, seed=None)

    def _job(self, prompt: str, **other: object) -> Job:
        """The job that was said so far, with `other` options said instead.

        Raises:
            LatenttyError: one of them is out of its range.
        """
        return make_job(request(prompt, self._options | other), self._chosen)

    @property
    def _chosen(self) -> ModelInfo:
        assert self._model is not None, "lines are read once there is one"
        return self._model

    async def _first_model(self) -> ModelInfo:
        """The model used last, or another where that is gone; the engine may still be looking for it.

        Raises:
            LatenttyError: there is none.
        """
        try:
            return await self._client.model(self._snapshot.last_model)
        except LatenttyError:
            other = next((one for one in self._snapshot.models if one.problem is None), None)
            if other is None:
                raise
            return other

    def _help(self, name: str) -> None:
        name = name.removeprefix("/")
        option = next((one for one in OPTIONS if one.name == name), None)
        if name and name not in self._commands:
            raise bad_request(f"There is no command /{name}.", "/help lists them.")
        for one in [name] if name else self._commands:
            self._say(f"/{one} {self._commands[one][0]}.")
        if option is not None:
            self._say(f"It is {self._value_of(option)}.")
            if name == "scheduler":
                known = [SCHEDULERS[one].label for one in self._chosen.schedulers if one in SCHEDULERS]
                self._say(f"{self._chosen.name} has: {', '.join(known)}.")
            elif name == "mode":
                self._say(f"{self._chosen.name} has: {', '.join(self._chosen.modes)}.")

    async def _choose_model(self, name: str) -> None:
        if name:
            self._model = await self._client.model(whole_path(name))
            self._say(f"Model {self._model.name}, {self._model.width} by {self._model.height} pixels.")
            return
        for model in self._snapshot.models:
            chosen = ", chosen" if model.name == self._chosen.name else ""
            problem = f", cannot be used: {model.problem.cause}" if model.problem is not None else ""
            self._say(f"{model.name}, {model.family}{chosen}{problem}.")

    async def _say_option(self, option: Option, text: str) -> None:
        """Take what was said for the pictures to come, if it is possible, and tell how it was understood."""
        before = self._options.get(option.place, option.unsaid)
        if text.lower() in UNSAID and not (option.is_switch and not text) and text not in option.choices:
            value = option.unsaid
        else:
            value = await self._looked_at(option, _read(option, text))
            if option.many:
                value = (*before, value)
        if option.name == "mode" and value and value not in self._chosen.modes:
            raise bad_request(f"{self._chosen.name} has no mode {value}; it has {', '.join(self._chosen.modes)}.")
        self._job("", **{option.place: value})
        self._options[option.place] = value
        mode = f" Mode {self._job('').mode}." if option.place in ("image", "mask", "grow", "mode") else ""
        self._say(f"{_label(option)} {self._value_of(option)}.{mode}")

    async def _looked_at(self, option: Option, value: Any) -> Any:
        """`value` with the whole path of the picture that it names, which is refused if it is not there now."""
        if option.name == "control":
            return value | {"image": await self._picture(value["image"])}
        return Path(await self._picture(str(value))) if option.name in ("image", "mask") else value

    async def _picture(self, path: str) -> str:
        if path == "last":
            if not self._snapshot.pictures:
                raise bad_request("There is no picture yet.")
            return self._snapshot.pictures[0].path
        whole = str(expanded(path).absolute())
        if (await self._client.complete(whole)).kind != "file":
            raise bad_request(f"{whole} is not there.")
        return whole

    async def _set(self, text: str) -> None:
        """Tell all that holds; with a name and a value, the same as the command of that name."""
        name, _, value = text.partition(" ")
        if name and not any(one.name == name for one in OPTIONS):
            raise bad_request(f"There is nothing called {name!r} to set.", "/help lists the commands.")
        if name:
            await self._obey(f"/{name} {value}")
            return
        job = self._job("")
        self._say(f"Model {job.model}. Mode {job.mode}. Size {job.width} by {job.height}. Steps {job.steps}.")
        scheduler = SCHEDULERS[job.scheduler].label if job.scheduler in SCHEDULERS else job.scheduler
        seed = "random" if self._options.get("seed") is None else job.seed
        self._say(f"Guidance {job.guidance_scale:g}. Scheduler {scheduler}. Seed {seed}. Count {job.count}.")
        for one in OPTIONS:
            if one.name not in TOLD and self._options.get(one.place, one.unsaid) != one.unsaid:
                self._say(f"{_label(one)} {self._value_of(one)}.")

    def _value_of(self, option: Option) -> str:
        value = self._options.get(option.place, option.unsaid)
        if option.is_switch:
            return "yes" if value else "no"
        if value == option.unsaid and not value:
            return NONE.get(option.name, "none" if option.many or option.read is Path else "the default")
        return _told(value)

    def _controlnets(self, _: str) -> None:
        nets = self._chosen.controls
        for name, modes in nets.items():
            self._say(f"{name}, for {', '.join(modes)}.")
        if not nets:
            self._say(f"None that was found fits {self._chosen.name}.")

    async def _library(self, kind: str) -> None:
        kinds = [one for one in get_args(FileKind) if one == (kind or "lora")]
        if not kinds:
            raise bad_request(f"There is no kind called {kind!r}.", f"There are: {', '.join(get_args(FileKind))}.")
        answer = await self._client.request(GetLibrary(kinds=kinds))
        files = msgspec.msgpack.decode(answer, type=LibraryPage).files
        for file in files:
            words = f", words: {', '.join(file.trigger_words)}" if file.trigger_words else ""
            base = BUNDLED if file.bundled else file.family or file.base or "models that it does not name"
            self._say(f"{file.name}, for {base}{words}.")
        if not files:
            self._say(f"The library has no {kind or 'lora'}.")

    async def _pictures(self, words: str) -> None:
        answer = await self._client.request(FindPictures(text=words, limit=FOUND))
        page = msgspec.msgpack.decode(answer, type=PicturePage)
        self._say(f"{page.total} pictures." if page.total != 1 else "1 picture.")
        for info in page.pictures:
            self._say(f"{info.prompt or 'no prompt'}, seed {info.picture.seed}, {info.picture.path}")

    async def _settings(self, text: str) -> None:
        name, _, value = text.partition(" ")
        fields = [one for one in setting_fields() if not name or one.name == name]
        if not fields:
            raise bad_request(f"There is no setting called {name!r}.", "/settings lists them.")
        if value:
            await self._client.request(ChangeSetting(name=name, value=value.strip()))
        for field in fields:
            values = f" {field.help} It can be {field.values or 'a text'}." if name and not value else ""
            self._say(f"{field.name} is {self._snapshot.settings[field.name] or 'empty'}.{values}")

    def _queue(self, _: str) -> None:
        running, waiting = self._snapshot.running, self._snapshot.waiting
        if running is not None:
            self._say(f"Running: {running.job.prompt or 'no prompt'}.")
        self._say(f"{len(waiting)} waiting." if waiting else "Nothing waits.")
        for record in waiting[:FOUND]:
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
        self._attached.set()
        self._changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        match event:
            case JobQueued(record=record):
                self._said = ""
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
                self._tell(str(problem))
            case JobNote(text=text):
                self._say(text)
            case EngineState(hold=Problem() as hold):
                self._tell(f"The queue waits. {hold}")
        self._changed.set()

    def engine_preview(self, preview: Preview) -> None:
        pass

    def engine_detached(self, problem: Problem | None) -> None:
        if problem is None:
            return
        self._tell(str(problem))
        if not self._lines.isatty():  # nobody is there to mend it and to see that it goes on
            self._given_up.set()

    def engine_silent(self, problem: Problem | None) -> None:
        self._tell("The engine answers again." if problem is None else str(problem))

    def _say_part(self, what: str, done: int, total: int, told: str = "") -> None:
        """How far something is, at its quarters: a screen reader reads every line."""
        quarter = QUARTERS * done // max(total, 1)
        if quarter and (what, quarter) != self._part:
            self._part = what, quarter
            self._say(f"{what}, {told or f'{100 * done // max(total, 1)} percent'}.")

    def _tell(self, text: str) -> None:
        """Say what happened, once."""
        if text != self._said:
            self._said = text
            self._say(text)

    def _say(self, text: str) -> None:
        print(plain(text), file=self._told, flush=True)


def _about(record: JobRecord) -> str:
    pictures = "1 picture" if record.job.count == 1 else f"{record.job.count} pictures"
    return f"{pictures}, seed {record.job.seed}, {record.job.width} by {record.job.height}."


NONE: Final = {
    "seed": "random",
    "negative": "nothing",
    "grow": "none",
    "tags": "none",
    "vae": "the model's",
    "text-encoder": "the model's",
}
"""How options are told that were not said, where that is not "none" or "the default"."""

TOLD: Final = ("model", "mode", "size", "steps", "guidance", "scheduler", "seed", "count")
"""Options that are told whether they were said or not."""


def _help(option: Option) -> str:
    value = "yes or no" if option.is_switch else ", ".join(option.choices) or option.value
    return f"{value}: {option.help}"


def _label(option: Option) -> str:
    return option.name.replace("-", " ").capitalize()


def _read(option: Option, text: str) -> Any:
    """What `text` means for `option`.

    Raises:
        LatenttyError: it means nothing.
    """
    if option.is_switch:
        if text.lower() not in ("", "yes", "no"):
            raise bad_request(f"{_label(option)} is yes or no.")
        return text.lower() != "no"
    if option.choices and text not in option.choices:
        raise bad_request(f"{_label(option)} cannot be {text!r}: it is {' or '.join(option.choices)}.")
    try:
        return option.read(text)
    except argparse.ArgumentTypeError as error:
        raise bad_request(f"{error}.") from None
    except ValueError:
        raise bad_request(f"{_label(option)} cannot be {text!r}: {option.help}.") from None


def _told(value: Any) -> str:
    """A value as it is said: sizes with "by", and what was said several times with "and"."""
    match value:
        case (int(width), int(height)):
            return f"{width} by {height}"
        case (int(left), int(top), int(right), int(bottom)):
            return f"left {left}, top {top}, right {right}, bottom {bottom}"
        case (str(file), float(weight)):
            return f"{file} at {weight:g}"
        case {"model": net, "image": image, **rest}:
            return ", ".join([f"{net} on {image}", *(f"{name} {one}" for name, one in rest.items())])
        case tuple() | list():
            return " and ".join(_told(one) for one in value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def plain_session(paths: Paths) -> int:
    """Serve the terminal, or whatever stands in its place; the exit status."""
    try:
        return asyncio.run(PlainSession(paths, sys.stdin, sys.stdout).run())
    except KeyboardInterrupt:
        return 130
