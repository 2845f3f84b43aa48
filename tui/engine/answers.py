"""What the engine answers: one command in, its result or a problem out."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tui.engine.background import Background
from tui.engine.board import Board
from tui.engine.downloads import Downloads
from tui.engine.intake import Intake
from tui.engine.library import Library
from tui.engine.model_index import ModelIndex
from tui.engine.pool import Pool, queue_problem
from tui.engine.settings_in_force import SettingsInForce
from tui.engine.stores import Stores
from tui.library.completion import complete_path
from tui.library.contact_sheet import write_contact_sheet
from tui.library.export import export_pictures
from tui.library.log_reading import read_log
from tui.library.mask_files import draft_of, store_draft, store_mask
from tui.library.paths import Paths, expanded
from tui.library.recall import recall
from tui.library.thumbnails import Thumbnails
from tui.protocol.commands import (
    Annotate,
    Cancel,
    CancelAll,
    CancelDownload,
    CancelLoad,
    CancelScan,
    ChangeSetting,
    ClientCommand,
    CompletePath,
    CountTokens,
    EmptyTrash,
    EnsureAdapter,
    EnsureControlNet,
    ExportPictures,
    Fetch,
    FindPictures,
    GetJob,
    GetLibrary,
    GetModel,
    GetPictures,
    GetPrompts,
    GetSnapshot,
    GetSweep,
    GetSweeps,
    KeepDraft,
    LoadModel,
    MakeContactSheet,
    MarkPictures,
    Pause,
    PinModel,
    ReadLog,
    Recall,
    ReleaseControlNet,
    Reorder,
    Rescan,
    RestorePictures,
    Resume,
    Retry,
    SetAutoload,
    SetBudget,
    Shutdown,
    StartDownload,
    StartSweep,
    StoreMask,
    Submit,
    SwapMode,
    TrashPictures,
    UnloadModel,
)
from tui.protocol.events import JobMoved, ModeRemembered, PicturesChanged
from tui.protocol.log import LogPart, LogPlace
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.protocol.recall import Recalled
from tui.protocol.snapshot import RECENT_PICTURES

log = logging.getLogger(__name__)


class Answers:
    """Carries out what clients ask for."""

    def __init__(
        self,
        *,
        paths: Paths,
        stores: Stores,
        board: Board,
        settings: SettingsInForce,
        models: ModelIndex,
        library: Library,
        downloads: Downloads,
        intake: Intake,
        pool: Pool,
        thumbnails: Thumbnails,
        background: Background,
        stop: Callable[[], None],
    ) -> None:
        self._paths = paths
        self._stores = stores
        self._board = board
        self._settings = settings
        self._models = models
        self._library = library
        self._downloads = downloads
        self._intake = intake
        self._pool = pool
        self._thumbnails = thumbnails
        self._background = background
        self._stop = stop

    async def answer(self, command: ClientCommand) -> object:
        """Carry out one command; its result.

        Raises:
            LatenttyError: it cannot be carried out.
        """
        try:
            return await self._carry_out(command)
        except sqlite3.Error as error:
            log.exception("the queue cannot be written")
            raise LatenttyError(queue_problem(error)) from None

    async def fetch(self, command: Fetch) -> bytes:
        """A picture as PNG, in the size that is asked for.

        Raises:
            LatenttyError: it is not there, or cannot be read.
        """
        if command.path:
            path = _absolute(command.path)
            if command.draft and not (path := await asyncio.to_thread(draft_of, self._paths.masks, path)).exists():
                raise LatenttyError(Problem(code="not_found", cause="No mask of this picture was begun."))
        else:
            path = await (self._start_of if command.start else self._stores.gallery.file)(command.picture_id)
        return await asyncio.to_thread(self._thumbnails.png, path, command.width, command.height)

    async def _carry_out(self, command: ClientCommand) -> object:
        match command:
            case Submit(job=job):
                return await self._intake.submit(job)
            case Cancel(job_id=job_id):
                await self._pool.cancel(job_id)
            case Retry(job_id=job_id):
                return await self._intake.retry(job_id)
            case CancelAll():
                return await self._pool.cancel_all()
            case Reorder(job_id=job_id, before=before):
                await self._stores.queue.reorder(job_id, before)
                self._board.tell(JobMoved(job_id=job_id, before=before))
            case Pause() | Resume():
                await self._stores.queue.set_paused(paused=isinstance(command, Pause))
                self._pool.set_paused(isinstance(command, Pause))
            case KeepDraft(draft=draft):
                self._board.snapshot.draft = draft
                await self._stores.draft.save(draft)
            case SwapMode():
                await self._swap(command)
            case LoadModel() | UnloadModel() | CancelLoad() | SetBudget():
                await self._pass_on(command)
            case PinModel(model=name, pinned=pinned):
                await self._settings.pin(name, pinned=pinned)
            case SetAutoload(model=name):
                await self._settings.set_autoload(name)
            case ChangeSetting(name=name, value=value):
                await self._settings.change(name, value)
            case EnsureControlNet() | ReleaseControlNet() | EnsureAdapter() | Annotate():
                return await self._pass_on(command)
            case GetSnapshot():
                return self._board.snapshot
            case GetModel(model=name):
                return await self._models.find(name)
            case GetPictures(job_id=job_id):
                return await self._stores.gallery.of_job(job_id)
            case GetJob(job_id=job_id):
                return await self._stores.queue.get(job_id)
            case FindPictures():
                return await self._stores.gallery.find(command)
            case MarkPictures(pictures=pictures):
                await self._stores.gallery.mark(command)
                recent = None if command.favourite is None else await self._stores.gallery.recent(RECENT_PICTURES)
                self._board.tell(PicturesChanged(pictures=pictures, recent=recent))
            case TrashPictures(pictures=pictures) | RestorePictures(pictures=pictures):
                await self._stores.gallery.trash(pictures, trashed=isinstance(command, TrashPictures))
                recent = await self._stores.gallery.recent(RECENT_PICTURES)
                self._board.tell(PicturesChanged(pictures=pictures, recent=recent))
            case EmptyTrash():
                count = await self._stores.gallery.empty_trash()
                self._board.tell(PicturesChanged(pictures=[]))
                return count
            case ExportPictures():
                return await self._export(command)
            case MakeContactSheet():
                return await self._make_contact_sheet(command)
            case StartSweep(sweep=sweep):
                await self._intake.start_sweep(sweep)
            case GetSweeps():
                return await self._stores.sweeps.ids()
            case GetSweep(sweep_id=sweep_id):
                return await self._stores.sweeps.state(sweep_id)
            case CountTokens():
                return await self._intake.count_tokens(command)
            case GetPrompts(limit=limit):
                return await self._stores.queue.prompts(limit)
            case Recall():
                return await self._recall(command)
            case StoreMask():
                return str(await asyncio.to_thread(_kept_mask, self._paths.masks, command))
            case CompletePath(text=text, folders=folders):
                return await asyncio.to_thread(complete_path, text, folders=folders)
            case ReadLog(since=since):
                return await self._read_log(since)
            case Rescan():
                self._background.begin(self._library.scan())
            case CancelScan():
                self._library.cancel()
            case GetLibrary():
                return self._library.page(command)
            case StartDownload(source=source, folder=folder, environment=environment):
                return await self._downloads.start(
                    source, folder or await self._settings.download_folder(), environment
                )
            case CancelDownload(id=number):
                await self._downloads.cancel(number)
            case Shutdown():
                self._stop()
            case Fetch():
                raise AssertionError("sessions answer Fetch through fetch")
        return None

    async def _pass_on(self, command: ClientCommand) -> object:
        """The result of a command that is the worker's, with the folders filled in."""
        match command:
            case LoadModel(model=name):
                model = await self._models.find(name)
                return await self._pool.order(LoadModel(model=model.name, path=model.path))
            case EnsureAdapter(model=name, adapter=adapter):
                model = await self._models.find(name)
                return await self._pool.order(EnsureAdapter(model=model.name, path=model.path, adapter=adapter))
            case EnsureControlNet(controlnet=name):
                net = await self._models.find_controlnet(name)
                return await self._pool.order(EnsureControlNet(controlnet=name, path=net.path))
            case ReleaseControlNet(controlnet=name):
                net = await self._models.find_controlnet(name)
                return await self._pool.order(ReleaseControlNet(controlnet=name, path=net.path), start=False)
            case Annotate():
                return await self._pool.order(command)
            case UnloadModel() | CancelLoad() | SetBudget():
                return await self._pool.order(command, start=False)
            case _:
                raise AssertionError(f"{command} is not the worker's")

    async def _swap(self, command: SwapMode) -> None:
        model = await self._models.find(command.model)
        if command.mode not in model.modes:
            raise bad_request(f"{model.name} has no mode {command.mode}.", f"It has: {', '.join(model.modes)}.")
        if (left := command.leaving) is not None and self._models.path_of(left.model):
            await self._stores.modes.save(left.model, left.mode, left.state)
            self._board.tell(ModeRemembered(model=left.model, mode=left.mode, state=left.state))
        order = SwapMode(model=model.name, mode=command.mode, path=model.path)
        self._background.begin(self._pool.order(order, start=False))

    async def _recall(self, command: Recall) -> Recalled:
        path = expanded(command.path) if command.path else await self._stores.gallery.file(command.picture_id)
        return await asyncio.to_thread(recall, path)

    async def _export(self, command: ExportPictures) -> list[str]:
        paths = [await self._stores.gallery.file(one) for one in command.pictures]
        copies = await asyncio.to_thread(export_pictures, paths, Path(command.folder), metadata=command.metadata)
        return [str(copy) for copy in copies]

    async def _make_contact_sheet(self, command: MakeContactSheet) -> str:
        paths = [await self._stores.gallery.file(one) if one else None for one in command.pictures]
        sheet = await asyncio.to_thread(
            write_contact_sheet, paths, Path(command.path), command.columns, command.labels, command.title
        )
        return str(sheet)

    async def _read_log(self, since: LogPlace) -> LogPart:
        path = self._paths.log_file
        try:
            return await asyncio.to_thread(read_log, path, since)
        except OSError as error:
            raise bad_request(f"The log {path} cannot be read: {error.strerror}.") from None

    async def _start_of(self, picture_id: int) -> Path:
        """The file that a picture was made from.

        Raises:
            LatenttyError: it was made from its prompt alone.
        """
        record = await self._stores.queue.get(await self._stores.gallery.job_of(picture_id))
        if not record.job.image:
            raise LatenttyError(Problem(code="not_found", cause="This picture was made from its prompt alone."))
        return Path(record.job.image)


def _absolute(path: str) -> Path:
    whole = expanded(path)
    if not whole.is_absolute():
        raise bad_request(f"The path {path} is not absolute.", "Begin it with / or ~.")
    return whole


def _kept_mask(folder: Path, command: StoreMask) -> Path:
    """The file of a mask that a client painted, kept from now on; one that is finished ends the draft of it."""
    if command.draft:
        return store_draft(folder, _absolute(command.picture), command.data)
    path = store_mask(folder, command.data)
    if command.picture and (picture := _absolute(command.picture)).exists():
        draft_of(folder, picture).unlink(missing_ok=True)
    return path
