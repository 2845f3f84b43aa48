"""Events: what happened, told to every client, numbered by the engine."""

from typing import Literal

from msgspec import Struct

from tui.protocol.download import DownloadState
from tui.protocol.job import Annotator, Job, Mode, ModeState
from tui.protocol.problem import Problem

JobState = Literal["waiting", "running", "interrupted", "done", "failed", "cancelled"]
"""`interrupted`: its process died; it runs once more, before everything that waits."""

ControlNetPhase = Literal["absent", "queued", "loading", "ready", "failed"]

WorkerState = Literal["absent", "starting", "idle", "loading", "running", "stopping"]


Reader = Literal["direct", "registered", "ring", "sequential"]
"""How weights come to the device: by torch's own copy, from a file that the GPU reads itself, by several readers and
pinned memory, or by one reader, because the disk is slow."""


class JobRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job and what became of it. Times are seconds since the epoch."""

    job: Job
    state: JobState
    attempts: int = 0
    """Runs begun for the picture that comes next."""
    saved: int = 0
    """Pictures on the disk so far."""
    problem: Problem | None = None
    notes: list[str] = []
    """What had to be done so that it could run, such as decoding in tiles."""
    submitted: float = 0.0
    started: float | None = None
    finished: float | None = None

    @property
    def open(self) -> bool:
        """Work is left: it runs or will run."""
        return self.state in ("waiting", "running", "interrupted")


class Picture(Struct, frozen=True, kw_only=True):
    """A saved picture as the gallery knows it."""

    id: int
    job_id: str
    index: int
    """Which of its job's pictures, from 0."""
    path: str
    seed: int
    width: int
    height: int
    created: float
    favourite: bool = False


class ModelInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model on the disk, its family's rules and the defaults that suit it."""

    name: str
    path: str
    family: str
    bytes: int = 0
    """Of its weight files."""
    bundled: bool = False
    configuration: str = ""
    """The folder that tells about its parts, when it is a checkpoint in a single file."""
    width: int = 512
    height: int = 512
    size_multiple: int = 8
    steps: int = 25
    guidance_scale: float = 7.0
    scheduler: str = ""
    schedulers: list[str] = []
    """The schedulers it works with, by id (:mod:`tui.library.schedulers`)."""
    modes: list[Mode] = []
    controls: dict[str, list[Mode]] = {}
    """The modes that each ControlNet which fits it works in, by the ControlNet's name."""
    negative_prompt: bool = True
    """Whether it can be told what not to show."""
    weighting: bool = False
    """Whether words can be weighed, and prompts changed between steps or joined by AND."""
    clip_skip: bool = False
    """Whether the last layers of its text encoders can be left out."""
    second_prompt: bool = False
    """Whether its second text encoder can be told something else."""
    problem: Problem | None = None
    """Why it cannot be used."""

    @property
    def first_state(self) -> ModeState:
        """What its modes begin with: the settings that suit it."""
        return ModeState(
            width=self.width,
            height=self.height,
            steps=self.steps,
            guidance_scale=self.guidance_scale,
            scheduler=self.scheduler,
        )


class ControlNetInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ControlNet on the disk."""

    name: str
    path: str
    class_name: str
    bytes: int = 0
    bundled: bool = False
    inpainting: bool = False
    """Whether it was made for inpainting."""
    problem: Problem | None = None


class AnnotatorInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to make control images."""

    name: Annotator
    problem: Problem | None = None
    """Why it cannot work here, and which model it wants."""


class ResidentComponent(Struct, frozen=True, kw_only=True):
    """One component (UNet, VAE, text encoder …) that is known."""

    model: str
    """Or models, that it belongs to."""
    name: str
    bytes: int
    """On the device, when it is there."""
    device: str
    """Where its weights are: a device, or "disk"."""


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """The base of all events."""


class JobQueued(Event, frozen=True):
    """A job was accepted, or queued again."""

    record: JobRecord


class JobStarted(Event, frozen=True):
    """A worker took the job."""

    record: JobRecord


class Step(Event, frozen=True):
    """One denoising step of one picture ended."""

    job_id: str
    index: int
    step: int
    """From 1 to `steps`; 0 before the first."""
    steps: int
    step_seconds: float = 0.0
    """Average over this picture's steps so far."""


class ImageSaved(Event, frozen=True):
    """A picture is on the disk and in the gallery."""

    picture: Picture


class JobDone(Event, frozen=True):
    """Every picture of the job is saved."""

    job_id: str
    finished: float


class JobFailed(Event, frozen=True):
    """The job was set aside with its problem."""

    job_id: str
    problem: Problem
    finished: float


class JobInterrupted(Event, frozen=True):
    """Its process died under it; it is run once more."""

    job_id: str
    problem: Problem


class JobRequeued(Event, frozen=True):
    """The job stopped through no fault of its own and waits at the front again."""

    job_id: str


class JobCancelled(Event, frozen=True):
    """The job ended because someone asked."""

    job_id: str
    finished: float


class JobMoved(Event, frozen=True):
    """A waiting job runs before another one now, or after all of them."""

    job_id: str
    before: str = ""


class PicturesChanged(Event, frozen=True):
    """Pictures got other marks, were thrown away or came back."""

    pictures: list[int]
    recent: list[Picture] | None = None
    """The newest pictures that are left, where that may have changed."""


class Loading(Event, frozen=True):
    """A model is on its way to the device."""

    model: str
    component: str
    done_bytes: int
    total_bytes: int
    rate: float = 0.0
    """Bytes a second so far."""
    reader: Reader = "direct"


class ModelReady(Event, frozen=True):
    """A model lies on the device."""

    model: str
    seconds: float
    bytes: int


class LoadFailed(Event, frozen=True):
    """A load ended without the model; what was resident before still is."""

    model: str
    problem: Problem


class ModeSwapped(Event, frozen=True):
    """The pipeline of a mode stands ready."""

    model: str
    mode: Mode
    pipeline: str
    """Its class."""
    milliseconds: float
    bytes_moved: int
    """Of weights: always 0."""


class ModeRemembered(Event, frozen=True):
    """A mode was left, and this is what it remembers."""

    model: str
    mode: Mode
    state: ModeState


class ControlNetState(Event, frozen=True):
    """How far a ControlNet is."""

    controlnet: str
    phase: ControlNetPhase
    problem: Problem | None = None


class KeptModels(Event, frozen=True):
    """Which models someone wants at hand, by name."""

    pinned: list[str] = []
    """Those that stay on the device."""
    autoload: str = ""
    """The one that is loaded at the start; empty: the one used last."""


class SettingsRead(Event, frozen=True):
    """What the engine goes by from now on."""

    values: dict[str, str]
    """Every setting by its name, as text; the environment has gone before the file."""


class JobNote(Event, frozen=True):
    """Something had to be done so that a job could run."""

    job_id: str
    text: str


class Residency(Event, frozen=True):
    """Where weights are, and how full the device is. Bytes."""

    device: str
    """Such as "cuda:0" or "cpu"."""
    device_name: str
    used_bytes: int
    total_bytes: int
    components: list[ResidentComponent] = []
    budget_bytes: int = 0
    """What weights may take of the device."""


class Warning(Event, frozen=True):  # noqa: A001 - the design's name for it
    """Something the user should know that failed no command."""

    problem: Problem
    lasting: bool = False
    """It stays true: whoever attaches later is told, too, as long as this worker lives."""


class WorkerChanged(Event, frozen=True):
    """The worker's own state, told by its supervisor."""

    state: WorkerState


class EngineState(Event, frozen=True):
    """What the engine is doing as a whole."""

    version: str
    pid: int
    worker: WorkerState = "absent"
    paused: bool = False
    hold: Problem | None = None
    """Why accepted jobs wait although the queue is not paused; it ends by itself when the cause goes."""
    stall: Problem | None = None
    """The worker is at work and has given no sign of life for long."""
    stopping: bool = False


class Pulse(Event, frozen=True):
    """A worker at work tells now and then that its own loop lives, and when its device thread last did."""

    quiet: float
    """Seconds since the device thread passed a place where it could have been cancelled."""


class LibraryScan(Event, frozen=True):
    """How far the search of the model folders is."""

    running: bool
    found: int = 0
    """Places that may hold a model."""
    looked: int = 0
    """Of these, how many of those that are new or changed were looked into."""
    changed: int = 0
    """How many of them are."""
    cancelled: bool = False
    counts: dict[str, int] = {}
    """Files in the library, by kind."""
    out_of_reach: list[str] = []
    """Folders of the settings that could not be looked through, each with the reason."""


class ModelsFound(Event, frozen=True):
    """The models that can be drawn with are these from now on."""

    models: list[ModelInfo]
    controlnets: list[ControlNetInfo]
    annotators: list[AnnotatorInfo]


class DownloadChanged(Event, frozen=True):
    """A download has come this far."""

    download: DownloadState


class DownloadGone(Event, frozen=True):
    """A download that is at its end is no longer listed."""

    id: str


class SavedFile(Event, frozen=True):
    """A worker wrote a picture under its final name; the engine makes it a :class:`Picture`."""

    job_id: str
    index: int
    path: str
    seed: int
    width: int
    height: int


ClientEvent = (
    JobQueued
    | JobStarted
    | Step
    | ImageSaved
    | JobDone
    | JobFailed
    | JobInterrupted
    | JobRequeued
    | JobCancelled
    | JobMoved
    | PicturesChanged
    | Loading
    | ModelReady
    | LoadFailed
    | ModeSwapped
    | ModeRemembered
    | ControlNetState
    | KeptModels
    | SettingsRead
    | JobNote
    | Residency
    | Warning
    | EngineState
    | LibraryScan
    | ModelsFound
    | DownloadChanged
    | DownloadGone
)
WorkerEvent = (
    Step
    | Loading
    | ModelReady
    | LoadFailed
    | ModeSwapped
    | ControlNetState
    | JobNote
    | Residency
    | Warning
    | WorkerChanged
    | Pulse
    | SavedFile
)
