"""Commands. Each gets exactly one reply, :class:`Done` or :class:`Failed`."""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from tui.protocol.gallery import Sort
from tui.protocol.job import Annotator, Job, Mode, ModeState, Tags
from tui.protocol.library import FileKind
from tui.protocol.log import LogPlace
from tui.protocol.problem import Problem
from tui.protocol.prompts import Draft
from tui.protocol.sweep import Sweep

MAX_MASK: Final = 960 << 10
"""Bytes of a mask that a client paints: with its frame, below the largest that a client may send."""


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """The base of all commands."""


# ---- a client to the engine ------------------------------------------------------------------------------------


class LeftMode(Struct, frozen=True, kw_only=True):
    """A mode that is left, and what it shall remember."""

    model: str
    """A listed one; of another nothing is remembered."""
    mode: Mode
    state: ModeState


class Submit(Command, frozen=True):
    """Accept a job; answered once it is on the disk. The same job id again answers the same and adds nothing."""

    job: Job


class Cancel(Command, frozen=True):
    """End one job, waiting or running, and no other."""

    job_id: str


class CancelLoad(Command, frozen=True):
    """Stop loading a model; a job that waits for that load is not cancelled by this."""

    model: str


class Retry(Command, frozen=True):
    """Queue a failed or cancelled job again; the pictures it saved already are kept."""

    job_id: str


class CancelAll(Command, frozen=True):
    """End every job, waiting or running; answered with their ids, so that they can be queued again."""


class Reorder(Command, frozen=True):
    """Run a waiting job right before another one, or after all of them; no job overtakes it then for a warm model."""

    job_id: str
    before: str = ""
    """The id of a waiting job; empty: the end of the queue."""


class Pause(Command, frozen=True):
    """Start no further job; the running one goes on. Outlives the engine."""


class Resume(Command, frozen=True):
    """Start jobs again."""


class LoadModel(Command, frozen=True):
    """Bring a model to the device, unless it is there."""

    model: str
    path: str = ""
    """Filled in by the engine: clients name models, workers read folders."""


class UnloadModel(Command, frozen=True):
    """Free a model's memory; no name frees every model."""

    model: str = ""
    keep_pinned: bool = False
    """Without a name: leave the pinned ones where they are."""


class PinModel(Command, frozen=True):
    """Keep a model on the device: it is not unloaded when idle, and goes last when the budget asks. Remembered."""

    model: str
    pinned: bool = True
    path: str = ""
    """Filled in by the engine."""


class SetAutoload(Command, frozen=True):
    """The model to load when the engine starts, remembered in the settings; empty: the one used last."""

    model: str


class ChangeSetting(Command, frozen=True):
    """Keep a setting in its file and go by it from now on, and by what was changed in the file by hand.

    Only what to load at the start waits for one.
    """

    name: Annotated[str, Meta(max_length=100)]
    """Such as "theme" or "engine.exit_after"."""
    value: Annotated[str, Meta(max_length=65_536)]
    """As :meth:`tui.library.setting_fields.SettingField.read` takes it."""


class KeepDraft(Command, frozen=True):
    """Keep what the studio says, so that a lost terminal loses none of it."""

    draft: Draft


class SwapMode(Command, frozen=True):
    """Enter a mode of a model, and remember the one that is left: what modes remember is in every snapshot.

    On the worker's side the pipeline is built ahead, which moves no weight.
    """

    model: str
    mode: Mode
    leaving: LeftMode | None = None
    path: str = ""
    """Filled in by the engine."""


class EnsureControlNet(Command, frozen=True):
    """Bring a ControlNet to the device, unless it is there."""

    controlnet: str
    path: str = ""
    """Filled in by the engine."""


class ReleaseControlNet(Command, frozen=True):
    """Nobody means to use a ControlNet soon: it goes when the budget asks."""

    controlnet: str
    path: str = ""


class EnsureAdapter(Command, frozen=True):
    """Load a LoRA beside a model that is known, so that a job need not wait for it."""

    model: str
    adapter: str
    path: str = ""
    """Of the model; filled in by the engine."""


class Annotate(Command, frozen=True):
    """Make a control image; answered with the path of its file."""

    image: str
    annotator: Annotator


class SetBudget(Command, frozen=True):
    """Keep the weights on the device within this many bytes from now on; 0 takes what the device has."""

    bytes: Annotated[int, Meta(ge=0, le=2**62)]


class Ping(Command, frozen=True):
    """Nothing but an answer: the engine lives."""


class GetSnapshot(Command, frozen=True):
    """The whole state as one :class:`tui.protocol.snapshot.Snapshot`."""


class Fetch(Command, frozen=True):
    """A picture, at most `width` × `height` pixels, aspect ratio kept, never enlarged.

    Either the id of one in the gallery, or the path of any on the box. The answer is
    :class:`tui.protocol.frames.Chunk` frames with a PNG, then Done.
    """

    width: Annotated[int, Meta(ge=0, le=16384)]
    height: Annotated[int, Meta(ge=0, le=16384)]
    picture_id: Annotated[int, Meta(ge=0, le=2**62)] = 0
    path: Annotated[str, Meta(max_length=4096)] = ""
    """Absolute, or beginning with `~` for the engine's home folder."""
    start: bool = False
    """Instead of the picture with that id, the one that it was made from."""
    draft: bool = False
    """Instead of the picture at that path, the mask of it that was begun and not finished."""


class StoreMask(Command, frozen=True):
    """Keep a mask that was painted; answered with its path. The same mask again is the same file."""

    data: Annotated[bytes, Meta(max_length=MAX_MASK)]
    """A PNG: white is drawn anew, black is kept."""
    picture: Annotated[str, Meta(max_length=4096)] = ""
    """The path of what it was painted on."""
    draft: bool = False
    """It is not finished: the one kept for its picture, until a finished one takes its place."""


class CompletePath(Command, frozen=True):
    """What a path on the box leads to as far as it is typed; answered with a :class:`tui.protocol.paths.PathFound`."""

    text: Annotated[str, Meta(max_length=4096)]
    folders: bool = False
    """Only folders are wanted."""


class ReadLog(Command, frozen=True):
    """What was added to the engine's log, at first its end; answered with a :class:`tui.protocol.log.LogPart`."""

    since: LogPlace = LogPlace()


class GetModel(Command, frozen=True):
    """The model with that name or path as a :class:`tui.protocol.events.ModelInfo`, its files looked at anew."""

    model: str


class GetPictures(Command, frozen=True):
    """Every saved picture of one job, as a list of :class:`tui.protocol.events.Picture`."""

    job_id: str


class GetJob(Command, frozen=True):
    """One job, however long ago, as a :class:`tui.protocol.events.JobRecord`."""

    job_id: str


_Ids = Annotated[list[Annotated[int, Meta(ge=0, le=2**62)]], Meta(max_length=100_000)]
_Place = Annotated[str, Meta(min_length=1, max_length=4096)]


class FindPictures(Command, frozen=True):
    """A part of the pictures that `text` finds (:mod:`tui.library.picture_search`).

    Answered with a :class:`tui.protocol.gallery.PicturePage`.
    """

    text: Annotated[str, Meta(max_length=1000)] = ""
    sort: Sort = "newest"
    trashed: bool = False
    """Only what was thrown away, instead of only what was not."""
    offset: Annotated[int, Meta(ge=0, le=2**31)] = 0
    limit: Annotated[int, Meta(ge=0, le=1000)] = 100


class MarkPictures(Command, frozen=True):
    """Make pictures favourites or not, and put tags on them or take tags off."""

    pictures: _Ids
    favourite: bool | None = None
    """None leaves it as it is."""
    add_tags: Tags = []
    remove_tags: Tags = []


class TrashPictures(Command, frozen=True):
    """Move pictures to the trash beside them, from where they can be restored."""

    pictures: _Ids


class RestorePictures(Command, frozen=True):
    """Put pictures back to where they were before they were thrown away."""

    pictures: _Ids


class EmptyTrash(Command, frozen=True):
    """Delete for good every picture that was thrown away; answered with how many there were."""


class ExportPictures(Command, frozen=True):
    """Copy pictures into a folder, which is made; answered with the paths of the copies. Nothing is overwritten."""

    pictures: _Ids
    folder: _Place
    metadata: bool = True
    """Whether the copies tell how they were made."""


class MakeContactSheet(Command, frozen=True):
    """Draw pictures side by side into one PNG, each with its label below; answered with its path."""

    pictures: _Ids
    path: _Place
    columns: Annotated[int, Meta(ge=1, le=100)] = 4
    labels: list[str] = []
    """Of the pictures, in their order; what is missing is blank. A picture id of 0 leaves its place empty."""
    title: str = ""


class StartSweep(Command, frozen=True):
    """Queue every cell of a sweep; refused whole when one cannot be drawn. The same sweep again adds nothing."""

    sweep: Sweep


class GetSweeps(Command, frozen=True):
    """The ids of all sweeps, the newest first."""


class GetSweep(Command, frozen=True):
    """How far a sweep is, as a :class:`tui.protocol.sweep.SweepState`."""

    sweep_id: str


class CountTokens(Command, frozen=True):
    """How long a prompt is for a model; answered with a :class:`tui.protocol.prompts.TokenCounts`.

    The prompt is read as it was written: its tags count nothing, its wildcards as their names.
    """

    model: str
    prompt: str
    steps: int = 20


class Recall(Command, frozen=True):
    """What a picture's file tells about its making; answered with a :class:`tui.protocol.recall.Recalled`.

    Either the id of a picture in the gallery, or the path of any picture on the box.
    """

    picture_id: int = 0
    path: str = ""


class GetPrompts(Command, frozen=True):
    """The prompts of the last jobs, newest first, each once: a list of :class:`tui.protocol.prompts.PastPrompt`."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 2000


class Rescan(Command, frozen=True):
    """Look through the model folders again, now; answered when that has begun. Unchanged files are not opened."""


class CancelScan(Command, frozen=True):
    """Stop looking through the model folders; what was found stays."""


class GetLibrary(Command, frozen=True):
    """Files of the library by name, as a :class:`tui.protocol.library.LibraryPage`."""

    kinds: list[FileKind] = []
    """Empty: all of them."""
    family: str = ""
    text: str = ""
    """Part of the name, title, base model or a trigger word."""
    offset: Annotated[int, Meta(ge=0, le=2**62)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200


class StartDownload(Command, frozen=True):
    """Fetch a model in the background; answered with its :class:`tui.protocol.download.DownloadState`.

    The same source and folder again go on where they were stopped. Outlives the engine.
    """

    source: Annotated[str, Meta(min_length=1, max_length=4096)]
    """hf:org/name[@revision][:file], civitai:ID or an https address."""
    folder: Annotated[str, Meta(max_length=4096)] = ""
    """Absolute; empty: the first model folder of the settings, and where they name none, one of our own."""
    environment: dict[str, str] = {}
    """The client's own tokens, proxies and endpoints (:mod:`tui.library.hub_environment`); kept in memory alone."""


class CancelDownload(Command, frozen=True):
    """Stop a download, whose bytes stay for the next try; one that is at its end leaves the list."""

    id: str


class Shutdown(Command, frozen=True):
    """End the process; a running job goes back to the front of the queue and costs no attempt."""


# ---- the engine to a worker ------------------------------------------------------------------------------------


class Target(Struct, frozen=True, kw_only=True):
    """Where one picture of a job is to be written."""

    index: int
    path: str


class Run(Command, frozen=True):
    """Make the pictures of a job that `targets` lists. Done means that each was reported as saved."""

    job: Job
    model_path: str
    targets: list[Target]
    controlnets: dict[str, str] = {}
    """The folder of each ControlNet that the job names."""
    ahead: str = ""
    """The folder of the model that the next job wants, to be read in the meantime."""


class Autoload(Command, frozen=True):
    """Load `model` as LoadModel does, once more when that fails, then `fallback` with a warning."""

    model: str
    path: str
    fallback: str = ""
    fallback_path: str = ""


ClientCommand = (
    Submit
    | Cancel
    | CancelLoad
    | CancelAll
    | Reorder
    | Retry
    | Pause
    | Resume
    | LoadModel
    | UnloadModel
    | PinModel
    | SetAutoload
    | KeepDraft
    | SwapMode
    | EnsureControlNet
    | ReleaseControlNet
    | EnsureAdapter
    | Annotate
    | SetBudget
    | Ping
    | GetSnapshot
    | GetModel
    | GetPictures
    | GetJob
    | FindPictures
    | MarkPictures
    | TrashPictures
    | RestorePictures
    | EmptyTrash
    | ExportPictures
    | MakeContactSheet
    | StartSweep
    | GetSweeps
    | GetSweep
    | CountTokens
    | GetPrompts
    | Recall
    | Fetch
    | StoreMask
    | CompletePath
    | ReadLog
    | Rescan
    | CancelScan
    | GetLibrary
    | StartDownload
    | CancelDownload
    | ChangeSetting
    | Shutdown
)
WorkerCommand = (
    Run
    | Cancel
    | CancelLoad
    | LoadModel
    | UnloadModel
    | PinModel
    | SwapMode
    | EnsureControlNet
    | ReleaseControlNet
    | EnsureAdapter
    | Annotate
    | SetBudget
    | Autoload
    | Shutdown
)


# ---- replies ---------------------------------------------------------------------------------------------------


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """The base of both replies; `id` is the request's."""

    id: int


class Done(Reply, frozen=True):
    """The command was carried out."""

    result: Raw = Raw(b"\xc0")
    """The answer's payload as msgpack (nil where there is none)."""


class Failed(Reply, frozen=True):
    """The command was not carried out; nothing of it remains."""

    problem: Problem
