"""The state that every screen shows, and how each event changes it.

The engine folds its own events into one Snapshot and sends that to a client that attaches; the client folds the
events that follow into its copy. One function serves both, so they cannot disagree.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from tui.protocol.download import DownloadState
from tui.protocol.events import (
    AnnotatorInfo,
    ClientEvent,
    ControlNetInfo,
    ControlNetState,
    DownloadChanged,
    DownloadGone,
    EngineState,
    ImageSaved,
    JobCancelled,
    JobDone,
    JobFailed,
    JobInterrupted,
    JobMoved,
    JobNote,
    JobQueued,
    JobRecord,
    JobRequeued,
    JobStarted,
    KeptModels,
    LibraryScan,
    LoadFailed,
    Loading,
    ModelInfo,
    ModelReady,
    ModelsFound,
    ModeRemembered,
    ModeSwapped,
    Picture,
    PicturesChanged,
    Residency,
    SettingsRead,
    Step,
    Warning,
)
from tui.protocol.job import ModeState
from tui.protocol.problem import Problem
from tui.protocol.prompts import Draft

RECENT_PICTURES = 24
RECENT_WARNINGS = 8
RECENT_JOBS = 50
"""Ended jobs that a snapshot remembers; open ones are all in it."""


class Snapshot(Struct, kw_only=True):
    """What is going on: the engine, its jobs, the newest pictures, and what lies in memory."""

    engine: EngineState
    jobs: dict[str, JobRecord] = field(default_factory=dict)
    """Open jobs in the order in which they will run, and the last ones that ended."""
    pictures: list[Picture] = field(default_factory=list)
    """Newest first."""
    models: list[ModelInfo] = field(default_factory=list)
    controlnets: list[ControlNetInfo] = field(default_factory=list)
    annotators: list[AnnotatorInfo] = field(default_factory=list)
    control_states: dict[str, ControlNetState] = field(default_factory=dict)
    """Of the ControlNets that someone chose or a job needed, by name."""
    library: LibraryScan | None = None
    """How far the search of the model folders is, or was."""
    downloads: dict[str, DownloadState] = field(default_factory=dict)
    """By id, the oldest first."""
    kept: KeptModels = KeptModels()
    settings: dict[str, str] = field(default_factory=dict)
    """What the engine goes by, as text."""
    mode: ModeSwapped | None = None
    """The mode entered last."""
    mode_states: dict[str, dict[str, ModeState]] = field(default_factory=dict)
    """What each mode of each model remembers."""
    draft: Draft | None = None
    """What a studio said last: for whoever attaches, and told to nobody else."""
    step: Step | None = None
    """Where the running job is."""
    loading: Loading | None = None
    residency: Residency | None = None
    last_model: str = ""
    warnings: list[Problem] = field(default_factory=list)
    """The lasting ones since the worker was started."""

    @property
    def running(self) -> JobRecord | None:
        """The job that a worker has now."""
        return next((record for record in self.jobs.values() if record.state == "running"), None)

    @property
    def waiting(self) -> list[JobRecord]:
        """The jobs that will run, interrupted ones first."""
        records = [record for record in self.jobs.values() if record.state in ("waiting", "interrupted")]
        return sorted(records, key=lambda record: record.state == "waiting")


def apply(snapshot: Snapshot, event: ClientEvent) -> None:
    """Change `snapshot` in place to what is true after `event`."""
    match event:
        case EngineState():
            snapshot.engine = event
            if event.worker in ("absent", "starting"):
                snapshot.step = snapshot.loading = snapshot.residency = snapshot.mode = None
                snapshot.control_states.clear()
                snapshot.warnings.clear()
        case JobQueued(record=record):
            known = snapshot.jobs.get(record.job.id)
            if known is None or not known.open:  # it may have started before its acceptance was told
                snapshot.jobs.pop(record.job.id, None)
                snapshot.jobs[record.job.id] = record
        case JobStarted(record=record):
            snapshot.jobs[record.job.id] = record
            snapshot.last_model = record.job.model
        case Step():
            snapshot.step = event
            if event.step > 0:  # what this job had to load is there
                snapshot.loading = None
        case ImageSaved(picture=picture):
            saved = snapshot.jobs.get(picture.job_id)
            if saved is not None:
                _change(snapshot, picture.job_id, saved=saved.saved + 1, attempts=1)
            snapshot.pictures = [picture, *snapshot.pictures][:RECENT_PICTURES]
        case JobDone():
            _end(snapshot, event.job_id, state="done", finished=event.finished)
        case JobFailed():
            _end(snapshot, event.job_id, state="failed", problem=event.problem, finished=event.finished)
        case JobCancelled():
            _end(snapshot, event.job_id, state="cancelled", finished=event.finished)
        case JobInterrupted():
            _change(snapshot, event.job_id, state="interrupted", problem=event.problem)
            _forget_step(snapshot, event.job_id)
        case JobRequeued():
            _change(snapshot, event.job_id, state="interrupted")
            _forget_step(snapshot, event.job_id)
        case JobNote():
            noted = snapshot.jobs.get(event.job_id)
            if noted is not None:
                _change(snapshot, event.job_id, notes=[*noted.notes, event.text])
        case JobMoved(job_id=job_id, before=before):
            _move(snapshot, job_id, before)
        case PicturesChanged(recent=recent):
            snapshot.pictures = snapshot.pictures if recent is None else recent
        case ModeSwapped():
            snapshot.mode = event
        case ModeRemembered(model=model, mode=mode, state=state):
            snapshot.mode_states.setdefault(model, {})[mode] = state
        case ControlNetState(controlnet=name):
            snapshot.control_states[name] = event
            if event.phase != "loading" and snapshot.loading is not None and snapshot.loading.model == name:
                snapshot.loading = None
        case KeptModels():
            snapshot.kept = event
        case SettingsRead(values=values):
            snapshot.settings = values
        case LibraryScan():
            snapshot.library = event
        case ModelsFound():
            snapshot.models = event.models
            snapshot.controlnets = event.controlnets
            snapshot.annotators = event.annotators
        case Loading():
            snapshot.loading = event
        case ModelReady() | LoadFailed():
            snapshot.loading = None
        case Residency():
            snapshot.residency = event
            snapshot.loading = None
        case DownloadChanged(download=download):
            snapshot.downloads[download.id] = download
        case DownloadGone():
            snapshot.downloads.pop(event.id, None)
        case Warning(problem=problem, lasting=lasting):
            if lasting and problem not in snapshot.warnings:
                snapshot.warnings = [*snapshot.warnings, problem][-RECENT_WARNINGS:]


def _change(snapshot: Snapshot, job_id: str, **fields: object) -> None:
    record = snapshot.jobs.get(job_id)
    if record is not None:
        snapshot.jobs[job_id] = replace(record, **fields)


def _move(snapshot: Snapshot, job_id: str, before: str) -> None:
    """Put a job right before another in the order of the jobs, or last."""
    if job_id not in snapshot.jobs or job_id == before:
        return
    moved = snapshot.jobs.pop(job_id)
    order = list(snapshot.jobs.items())
    place = next((place for place, (known, _) in enumerate(order) if known == before), len(order))
    order.insert(place, (job_id, moved))
    snapshot.jobs.clear()
    snapshot.jobs.update(order)


def _end(snapshot: Snapshot, job_id: str, **fields: object) -> None:
    if snapshot.running is not None and snapshot.running.job.id == job_id:
        snapshot.loading = None
    _change(snapshot, job_id, **fields)
    _forget_step(snapshot, job_id)
    ended = [known for known, record in snapshot.jobs.items() if not record.open]
    for known in ended[:-RECENT_JOBS]:
        del snapshot.jobs[known]


def _forget_step(snapshot: Snapshot, job_id: str) -> None:
    if snapshot.step is not None and snapshot.step.job_id == job_id:
        snapshot.step = None
