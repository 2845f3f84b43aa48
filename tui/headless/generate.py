"""`latentty generate`: one job through the same engine, for scripts and pipes."""

import asyncio
import io
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace
from PIL import Image

from tui.client import EngineClient
from tui.headless.report import Report
from tui.headless.stopping import unless
from tui.library.aspects import fitted
from tui.library.paths import Paths, expanded
from tui.library.prompt.tags import lora_tags
from tui.library.prompt.triggers import with_triggers
from tui.library.schedulers import find_scheduler
from tui.library.settings import load_settings
from tui.protocol.commands import Cancel, GetLibrary
from tui.protocol.events import (
    ClientEvent,
    EngineState,
    JobInterrupted,
    JobQueued,
    Loading,
    ModelInfo,
    Picture,
    Step,
    Warning,
)
from tui.protocol.fields import complaints
from tui.protocol.frames import Preview
from tui.protocol.job import (
    Adapter,
    Control,
    Edges,
    Job,
    MemoryOptions,
    Mode,
    Offload,
    Quantise,
    new_job_id,
    random_seed,
)
from tui.protocol.library import LibraryPage
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.protocol.snapshot import Snapshot

FAILED: Final = 1
BAD_USAGE: Final = 2
"""Exit status for values that are out of range, as argparse has it."""

_FORMATS: Final[dict[str, Literal["png", "jpg", "webp"]]] = {".png": "png", ".jpg": "jpg", ".webp": "webp"}

CANCELLED: Final = 130
"""Exit status after Ctrl+C, as a shell expects it."""

CANCEL_WITHIN: Final = 5.0
"""Seconds that an engine, or the next one, has to take a cancellation."""


@dataclass(frozen=True)
class Request:
    """What the command line asked for; None means the model's own default."""

    prompt: str
    negative: str = ""
    model: str | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    size: tuple[int, int] | None = None
    scheduler: str | None = None
    count: int = 1
    mode: Mode | None = None
    image: Path | None = None
    mask: Path | None = None
    strength: float | None = None
    mask_blur: int | None = None
    grow: tuple[int, int, int, int] | None = None
    controls: tuple[dict[str, str], ...] = ()
    """The fields of each :class:`tui.protocol.job.Control`, as text."""
    loras: tuple[tuple[str, float], ...] = ()
    """Files or folders of LoRAs, and how strongly each acts."""
    clip_skip: int | None = None
    prompt_2: str | None = None
    negative_2: str | None = None
    vae: str = ""
    """A path, or the name of one in the library, as the text encoder is."""
    text_encoder: str = ""
    triggers: bool = False
    """Whether the words that call up the LoRAs are put into the prompt."""
    tile_vae: bool = False
    compiled: bool = False
    offload: Offload = "none"
    quantise: Quantise = "none"
    tags: Sequence[str] = ()
    """What the pictures are tagged with."""
    out: Path | None = None
    as_json: bool = False
    show: bool = True


def generate(paths: Paths, request: Request) -> int:
    """Make the pictures and print their paths; the exit status."""
    return asyncio.run(Generation(paths, request).run())


class Generation:
    """One job, watched from its submission to its end."""

    def __init__(self, paths: Paths, request: Request) -> None:
        self._request = request
        self._client = EngineClient(paths, self)
        self._attached = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        """Ctrl+C, or a problem that no waiting solves."""
        self._report = Report(as_json=request.as_json, preview=load_settings(paths).preview)
        self._job: Job | None = None
        """The job from the moment at which an engine may have it."""
        self._accepted = False
        self._printed: set[int] = set()
        self._problem: Problem | None = None
        self._interrupted = False

    async def run(self) -> int:
        """From attaching to the last picture; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        staying = asyncio.create_task(self._client.run())
        try:
            with self._report:
                made = await unless(self._stopped, self._make())
                return await self._withdraw() if made is None else made
        except LatenttyError as error:
            self._report.failed(error.problem)
            return BAD_USAGE if error.problem.code == "bad_request" else FAILED
        finally:
            staying.cancel()

    async def _make(self) -> int:
        await self._attached.wait()
        assert self._client.snapshot is not None
        name = self._request.model or self._client.snapshot.last_model
        job = make_job(self._request, await self._client.model(whole_path(name)))
        if self._request.triggers:
            job = await with_words(self._client, job)
        self._job = job
        record = await self._client.submit(job)
        self._accept(record.job)
        while True:
            record = self._client.snapshot.jobs.get(job.id, record)
            await self._print_new(job)
            match record.state:
                case "done":
                    self._report.done()
                    return 0
                case "cancelled":
                    raise LatenttyError(Problem(code="cancelled", cause="The job was cancelled from elsewhere."))
                case "failed":
                    raise LatenttyError(record.problem or Problem(code="internal", cause="The job failed."))
            await self._changed.wait()
            self._changed.clear()

    async def _withdraw(self) -> int:
        """End what :meth:`_make` began; the exit status after Ctrl+C.

        Raises:
            LatenttyError: what else stopped it.
        """
        if self._job is not None:
            await self._cancel(self._job.id)
        if self._interrupted or self._problem is None:
            self._report.cancelled()
            return CANCELLED
        if self._job is None:
            raise LatenttyError(self._problem)
        hint = f"{self._problem.hint} This job is cancelled; give it again then."
        raise LatenttyError(replace(self._problem, hint=hint))

    async def _cancel(self, job_id: str) -> None:
        """Cancel the job, which is told after it on the same way, so that it cannot come later than that.

        Raises:
            LatenttyError: no engine could be told, such as when it died and cannot start again.
        """
        try:
            async with asyncio.timeout(CANCEL_WITHIN):
                await self._client.request(Cancel(job_id=job_id))
        except TimeoutError:
            why = self._problem or Problem(code="engine_unavailable", cause="No engine answers.")
            left = "The job was not cancelled" if self._accepted else "If the job was queued, it was not cancelled"
            hint = f"{why.hint} {left}: it goes on with the next engine.".lstrip()
            raise LatenttyError(replace(why, hint=hint)) from None
        except LatenttyError as error:
            if error.problem.code != "not_found":  # it never came to be queued
                raise

    async def _print_new(self, job: Job) -> None:
        """Print the pictures that are saved by now, whichever engine saved them."""
        snapshot = self._client.snapshot
        record = snapshot.jobs.get(job.id) if snapshot else None
        if record is None or record.saved <= len(self._printed):
            return
        for picture in await self._client.pictures(job.id):
            if picture.index not in self._printed:
                self._printed.add(picture.index)
                shown = await self._picture(picture) if self._request.show else None
                self._report.saved(picture, shown)

    async def _picture(self, picture: Picture) -> Image.Image | None:
        """The picture itself when it can be shown: where stdout is a terminal with colours."""
        if not self._report.can_show:
            return None
        data = await self._client.fetch(picture.id, *self._report.pixels)
        return Image.open(io.BytesIO(data))

    def _accept(self, job: Job) -> None:
        """The engine has the job: told once, by its event or by the answer, whichever is read first."""
        if not self._accepted:
            self._accepted = True
            self._report.queued(job)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._stopped.set()

    def _fail(self, problem: Problem) -> None:
        self._problem = problem
        self._stopped.set()

    # ---- what the client tells ---------------------------------------------------------------------------------

    def engine_attached(self, snapshot: Snapshot) -> None:
        self._look_at(snapshot.engine)
        self._attached.set()
        self._changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        match event:
            case JobQueued(record=record) if self._job is not None and record.job.id == self._job.id:
                self._accept(record.job)
            case Step(job_id=job_id) if self._job is not None and job_id == self._job.id:
                self._report.step(event)
            case Loading():
                self._report.loading(event)
            case EngineState():
                self._look_at(event)
            case Warning(problem=problem):
                self._report.note(problem)
            case JobInterrupted(job_id=job_id, problem=problem) if self._job is not None and job_id == self._job.id:
                self._report.note(problem)
        self._changed.set()

    def engine_preview(self, preview: Preview) -> None:
        pass

    def engine_detached(self, problem: Problem | None) -> None:
        if problem is not None:
            self._fail(problem)
        elif self._job is not None:
            self._report.note(Problem(code="engine_unavailable", cause="The engine is gone; starting it again."))

    def engine_silent(self, problem: Problem | None) -> None:
        if problem is not None:
            self._report.note(problem)

    def _look_at(self, engine: EngineState) -> None:
        """A held queue would keep a script waiting for ever."""
        if engine.hold is not None:
            self._fail(engine.hold)


async def with_words(client: EngineClient, job: Job) -> Job:
    """`job` with the words in its prompt that the library knows to call up its LoRAs."""
    named = [Path(one.path) for one in job.adapters]
    named += [Path(one.name) for one in lora_tags(job.prompt)[0]]
    words = []
    for path in named:
        answer = await client.request(GetLibrary(kinds=["lora"], text=path.stem))
        files = msgspec.msgpack.decode(answer, type=LibraryPage).files
        fitting = [one for one in files if one.path == str(path) or path.stem.lower() == one.name.lower()]
        words += [word for one in fitting[:1] for word in one.trigger_words]
    return replace(job, prompt=with_triggers(job.prompt, words))


def make_job(request: Request, model: ModelInfo) -> Job:
    """The job that `request` means, with the model's defaults where it is silent.

    Raises:
        LatenttyError: a value is out of its range, or the scheduler is unknown.
    """
    scheduler = find_scheduler(request.scheduler or model.scheduler, model.schedulers)
    if scheduler is None:
        raise bad_request(
            f"There is no scheduler called {request.scheduler!r}.", f"{model.name} has: {', '.join(model.schedulers)}."
        )
    folder, stem, picture_format = _output(request.out)
    width, height = request.size or _own_size(request, model)
    job = Job(
        id=new_job_id(),
        model=model.name,
        mode=request.mode or _implied_mode(request, model),
        prompt=request.prompt,
        negative_prompt=request.negative,
        width=width,
        height=height,
        steps=model.steps if request.steps is None else request.steps,
        guidance_scale=model.guidance_scale if request.guidance is None else request.guidance,
        scheduler=scheduler.id,
        seed=random_seed() if request.seed is None else request.seed,
        count=request.count,
        folder=folder,
        file_stem=stem,
        format=picture_format,
        tags=list(request.tags),
        **_drawn_from(request),
    )
    if wrong := complaints(job):
        raise bad_request(" ".join(wrong))
    return job


def _own_size(request: Request, model: ModelInfo) -> tuple[int, int]:
    """Width and height where `--size` is silent: a grown picture's, in the model's steps, else the model's own."""
    if request.grow is None or request.image is None:
        return model.width, model.height
    left, top, right, bottom = request.grow
    try:
        with Image.open(request.image) as picture:
            width, height = picture.size
    except OSError:  # the engine tells what is wrong with it
        return model.width, model.height
    return fitted(width + left + right, height + top + bottom, model.size_multiple)


def _implied_mode(request: Request, model: ModelInfo) -> Mode:
    """What the options mean together, where `--mode` is silent."""
    if request.grow is not None:
        return "outpaint"
    if request.mask is not None:
        return "inpaint"
    if request.image is not None:
        return "img2img" if "img2img" in model.modes or "edit" not in model.modes else "edit"
    return "txt2img"


def _drawn_from(request: Request) -> dict[str, Any]:
    """The fields of a job that tell what it is drawn from and how; what was not asked for keeps its default."""
    left, top, right, bottom = request.grow or (0, 0, 0, 0)
    told = {
        "image": request.image and _absolute(request.image),
        "mask": request.mask and _absolute(request.mask),
        "strength": request.strength,
        "mask_blur": request.mask_blur,
        "grow": request.grow and Edges(left=left, top=top, right=right, bottom=bottom),
        "controls": [_control(fields) for fields in request.controls] or None,
        "adapters": [Adapter(path=_path_or_name(path), weight=weight) for path, weight in request.loras] or None,
        "clip_skip": request.clip_skip,
        "prompt_2": request.prompt_2,
        "negative_prompt_2": request.negative_2,
        "vae": _path_or_name(request.vae),
        "text_encoder": _path_or_name(request.text_encoder),
        "compiled": request.compiled,
        "memory": MemoryOptions(tile_vae=request.tile_vae, offload=request.offload, quantise=request.quantise),
    }
    return {name: value for name, value in told.items() if value is not None}


def _control(fields: dict[str, str]) -> Control:
    whole = _absolute(fields["image"])
    try:
        if unknown := fields.keys() - set(Control.__struct_fields__):
            raise msgspec.ValidationError(f"there is no option {', '.join(sorted(unknown))}")
        return msgspec.convert(fields | {"image": whole}, Control, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(
            f"The ControlNet {fields['model']} cannot be used so: {error}.",
            "Options are an annotator, weight=0..2, start=0..1 and end=0..1.",
        ) from None


def whole_path(name: str) -> str:
    """`name` as the engine must see it, where it is a path."""
    return _absolute(name) if "/" in name or name == "." else name


def _path_or_name(name: str) -> str:
    """`name` as a path where there is one; otherwise the engine looks for a file of that name."""
    return _absolute(name) if "/" in name or (name and Path(name).exists()) else name


def _absolute(path: str | Path) -> str:
    """`path` for the engine, which has another working folder."""
    return str(expanded(path).absolute())


def _output(out: Path | None) -> tuple[str, str, Literal["", "png", "jpg", "webp"]]:
    """The folder, the file stem and the format that `--out` means; all empty without it."""
    if out is None:
        return "", "", ""
    whole = expanded(out).absolute()
    if whole.is_dir() or whole.suffix == "":
        return str(whole), "", ""
    wanted = _FORMATS.get(whole.suffix)
    if wanted is None:
        raise bad_request(
            f"Pictures are PNG, JPEG or WEBP files; {whole.name} is not called like one.",
            "Use a name with .png, .jpg or .webp.",
        )
    return str(whole.parent), whole.stem, wanted
