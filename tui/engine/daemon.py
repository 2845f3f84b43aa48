"""The engine as a whole: what it owns, how it starts, what it answers, when it ends."""

import asyncio
import logging
import logging.handlers
import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable, Coroutine
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from msgspec.structs import replace

import tui
from tui.engine.board import Board
from tui.engine.database import Database
from tui.engine.downloads import Downloads
from tui.engine.gallery import Gallery
from tui.engine.home import ChildHome, Home
from tui.engine.idle import due
from tui.engine.kept_value import KeptValue
from tui.engine.library import Library
from tui.engine.listener import Listener
from tui.engine.lock import AlreadyRunning, EngineLock
from tui.engine.mode_states import ModeStates
from tui.engine.model_index import ModelIndex
from tui.engine.pool import Pool, queue_problem
from tui.engine.queue import Queue
from tui.engine.session import Session
from tui.engine.sweeps import Sweeps
from tui.library.acceptance import refuse_impossible
from tui.library.addons import Addons, NoSuchAddon
from tui.library.completion import complete_path
from tui.library.contact_sheet import write_contact_sheet
from tui.library.engine_file import EngineFile
from tui.library.export import export_pictures
from tui.library.folders import make_folder
from tui.library.log_reading import read_log
from tui.library.mask_files import draft_of, store_draft, store_mask
from tui.library.paths import Paths, expanded, short_path
from tui.library.places import lending, out_of_reach, places
from tui.library.preparation import missing_from, prepare
from tui.library.private_files import open_private
from tui.library.prompt.wildcards import Wildcards
from tui.library.recall import recall
from tui.library.secrets import redacted
from tui.library.setting_fields import read_setting, told_settings
from tui.library.settings import Settings, load_settings, save_setting
from tui.library.sweeps import cells, in_order
from tui.library.thumbnails import Thumbnails
from tui.library.token_counts import count_tokens
from tui.protocol import PROTOCOL_VERSION
from tui.protocol.commands import (
    Annotate,
    Autoload,
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
    WorkerCommand,
)
from tui.protocol.events import (
    ClientEvent,
    EngineState,
    JobMoved,
    JobQueued,
    JobRecord,
    KeptModels,
    ModelsFound,
    ModeRemembered,
    PicturesChanged,
    SettingsRead,
    Warning,
)
from tui.protocol.frames import FrameError, Hello, Refused, Welcome
from tui.protocol.job import Job
from tui.protocol.library import ModelFile
from tui.protocol.log import LogPart, LogPlace
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.protocol.prompts import Draft, TokenCounts
from tui.protocol.recall import Recalled
from tui.protocol.snapshot import RECENT_JOBS, RECENT_PICTURES
from tui.protocol.sweep import Sweep

log = logging.getLogger(__name__)

LOG_BYTES: Final = 1 << 20
LOG_FILES: Final = 3
TICK: Final = 1.0
"""Seconds between two looks at how long nothing has happened."""

MAX_CLIENTS: Final = 128
"""Clients that are attached at a time."""

LOOK_FOR: Final = 10.0
"""Seconds that a job waits for a search of the folders when it names what the library does not have."""

LAST_WORDS: Final = 0.05
"""Seconds for the last events to reach the clients."""


class Engine:
    """One engine process. Its state is a Snapshot, changed by its own events alone."""

    def __init__(
        self, paths: Paths, settings: Settings, lock: EngineLock, make_home: Callable[[], Home] = ChildHome
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._lock = lock
        self._boot = secrets.token_hex(8)
        self._database = Database(paths.database_file)
        self._queue = Queue(self._database)
        self._gallery = Gallery(self._database)
        self._sweeps = Sweeps(self._database)
        self._thumbnails = Thumbnails(paths.cache / "thumbnails")
        self._modes = ModeStates(self._database)
        self._last_models = KeptValue(self._database, "last_models", ModelsFound)
        self._draft = KeptValue(self._database, "draft", Draft)
        self._models = ModelIndex(settings.models(), lambda: lending(self._settings))
        self._library = Library(
            self._database,
            lambda: places(self._settings.models(), others=self._settings.other_programs),
            lambda: out_of_reach(self._settings.models()),
            tell=self._tell,
            on_change=self._models_changed,
            is_busy=lambda: self._pool.busy,
        )
        self._downloads = Downloads(
            self._database, lambda: load_settings(paths), tell=self._tell, on_done=self._library.scan
        )
        self._addons = Addons(lambda: self._library.files)
        self._wildcards = Wildcards(settings.wildcards(paths))
        self._board = Board(EngineState(version=tui.__version__, pid=os.getpid()))
        self._listener = Listener(paths.socket_file, self._serve, self._publish)
        self._pool = Pool(
            queue=self._queue,
            make_home=make_home,
            models=self._models,
            settings=settings.engine,
            first_orders=self._first_orders,
            pictures=settings.pictures(paths),
            tell=self._board.tell,
            show=self._board.show,
            on_change=self._tell_state,
            warm=self._warm,
        )
        self._socket = Path()
        self._active = time.monotonic()
        self._unloaded = False
        self._stop = asyncio.Event()
        self._places_changed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open what the last engine left, and listen. After this, clients are served.

        Raises:
            LatenttyError: the queue cannot be opened, or there is no safe place for the socket.
        """
        await self._database.open()
        try:
            await self._take_over()
        except sqlite3.Error as error:  # such as a page of the file that is damaged
            raise LatenttyError(self._database.problem(error)) from None
        await self._listener.bind()
        log.info("Latentty %s listens, process %d", tui.__version__, os.getpid())

    async def _take_over(self) -> None:
        """Bring the queue into order and the snapshot up to it."""
        await self._queue.recover(
            Problem(
                code="worker_died",
                cause="The engine died while this job ran.",
                hint="Retry it; if that happens again, read: latentty engine logs",
            )
        )
        await self._library.load()
        self._models.restore(await self._last_models.load())
        snapshot = self._board.snapshot
        for record in await self._queue.open_and_recent(RECENT_JOBS):
            snapshot.jobs[record.job.id] = record
        snapshot.pictures = await self._gallery.recent(RECENT_PICTURES)
        snapshot.models = self._models.models
        snapshot.controlnets = self._models.controlnets
        snapshot.annotators = self._models.annotators
        snapshot.library = self._library.state
        snapshot.downloads = await self._downloads.load()
        snapshot.kept = self._kept()
        snapshot.settings = told_settings(self._settings)
        snapshot.mode_states = await self._modes.all()
        snapshot.draft = await self._draft.load()
        snapshot.last_model = await self._queue.last_model() or self._models.bundled.name
        self._pool.set_paused(await self._queue.paused())

    async def run(self) -> None:
        """Serve until someone asks for the end, or nothing has happened for long enough."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, log.info, "SIGHUP: a terminal went away, the engine goes on")
        stopping = asyncio.create_task(self._stop.wait())
        serving = {
            asyncio.create_task(work)
            for work in (
                self._pool.run(),
                self._pool.watch(),
                self._listener.watch(),
                self._watch_models(),
                self._keep_place(),
                self._rest(),
            )
        }
        self._in_background(self._first_look())
        autoload = asyncio.create_task(self._autoload())
        autoload.add_done_callback(_log_failure)
        self._pool.wake()
        self._downloads.resume()
        # those that serve end only by failing, and then the engine must not go on without them
        ended, _ = await asyncio.wait({*serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        self._tell_state()
        await self._downloads.stop()
        await self._pool.stop()
        self._listener.close()
        await asyncio.sleep(LAST_WORDS)
        for session in list(self._board.sessions):
            session.close()
        await self._listener.ended()
        for task in (*serving, stopping, autoload):
            task.cancel()
        await asyncio.gather(*serving, stopping, autoload, return_exceptions=True)
        self._database.close()
        self._lock.release()
        for task in ended - {stopping}:
            task.result()

    def stop(self) -> None:
        """Begin the end; :meth:`run` returns when it is done."""
        self._stop.set()

    # ---- clients -----------------------------------------------------------------------------------------------

    def _publish(self, socket: Path) -> None:
        self._socket = socket
        self._lock.write(
            EngineFile(
                pid=os.getpid(),
                socket=str(socket),
                protocol=PROTOCOL_VERSION,
                version=tui.__version__,
                boot=self._boot,
            )
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer)
        try:
            hello = await session.hello()
            if (problem := self._objection(hello)) is not None:
                await session.refuse(_refusal(problem))
                return
        except (FrameError, OSError) as error:
            log.debug("a client is let go: %s", error)
            return
        # no await between the snapshot and the entry into the set: no event is missed and none comes twice
        missed = self._board.missed(hello.since) if hello.boot == self._boot else None
        welcome = Welcome(
            boot=self._boot,
            seq=self._board.seq,
            pid=os.getpid(),
            version=tui.__version__,
            snapshot=self._board.snapshot if missed is None else None,
        )
        self._board.join(session)
        self._active = time.monotonic()
        try:
            await session.serve(welcome, missed or [], self._answer, self._fetch)
        finally:
            self._board.leave(session)
            self._active = time.monotonic()

    def _objection(self, hello: Hello) -> Problem | None:
        if hello.protocol != PROTOCOL_VERSION:
            return _another_version(hello)
        if len(self._board.sessions) >= MAX_CLIENTS:
            return Problem(
                code="engine_unavailable",
                cause=f"The engine has {MAX_CLIENTS} clients already.",
                hint="Close some of them and try again.",
            )
        return None

    def _tell(self, event: ClientEvent) -> None:
        self._board.tell(event)

    async def _models_changed(self, files: list[ModelFile]) -> None:
        """The library has changed: the models that can be drawn with are looked at anew."""
        if not await self._models.look(files):
            return
        self._board.tell(self._models.found)
        try:
            await self._last_models.save(self._models.found)
        except sqlite3.Error:  # the next engine begins with what was saved before
            log.exception("the models that were found cannot be remembered")

    def _tell_state(self) -> None:
        self._board.tell(self._state())

    def _state(self) -> EngineState:
        pool = self._pool
        return EngineState(
            version=tui.__version__,
            pid=os.getpid(),
            worker=pool.worker,
            paused=pool.paused,
            hold=pool.hold,
            stall=pool.stall,
            stopping=self._stop.is_set(),
        )

    # ---- commands ----------------------------------------------------------------------------------------------

    async def _answer(self, command: ClientCommand) -> object:
        """Carry out one command; its result.

        Raises:
            LatenttyError: it cannot be carried out.
        """
        if not isinstance(command, ReadLog):  # a screen that is left open keeps nothing awake
            self._active = time.monotonic()
            self._unloaded = False
        try:
            return await self._carry_out(command)
        except sqlite3.Error as error:
            log.exception("the queue cannot be written")
            raise LatenttyError(queue_problem(error)) from None

    async def _carry_out(self, command: ClientCommand) -> object:
        match command:
            case Submit(job=job):
                return await self._submit(job)
            case Cancel(job_id=job_id):
                await self._pool.cancel(job_id)
            case Retry(job_id=job_id):
                return self._queued(await self._queue.retry(job_id))
            case CancelAll():
                return await self._pool.cancel_all()
            case Reorder(job_id=job_id, before=before):
                await self._queue.reorder(job_id, before)
                self._board.tell(JobMoved(job_id=job_id, before=before))
            case Pause() | Resume():
                await self._queue.set_paused(paused=isinstance(command, Pause))
                self._pool.set_paused(isinstance(command, Pause))
            case KeepDraft(draft=draft):
                self._board.snapshot.draft = draft
                await self._draft.save(draft)
            case SwapMode():
                await self._swap(command)
            case LoadModel() | UnloadModel() | CancelLoad() | SetBudget():
                await self._pass_on(command)
            case PinModel(model=name, pinned=pinned):
                await self._pin(name, pinned=pinned)
            case SetAutoload(model=name):
                await self._set_autoload(name)
            case ChangeSetting(name=name, value=value):
                await asyncio.to_thread(save_setting, self._paths, name, read_setting(name, value))
                await self._read_settings()
            case EnsureControlNet() | ReleaseControlNet() | EnsureAdapter() | Annotate():
                return await self._pass_on(command)
            case GetSnapshot():
                return self._board.snapshot
            case GetModel(model=name):
                return await self._models.find(name)
            case GetPictures(job_id=job_id):
                return await self._gallery.of_job(job_id)
            case GetJob(job_id=job_id):
                return await self._queue.get(job_id)
            case FindPictures():
                return await self._gallery.find(command)
            case MarkPictures(pictures=pictures):
                await self._gallery.mark(command)
                recent = None if command.favourite is None else await self._gallery.recent(RECENT_PICTURES)
                self._board.tell(PicturesChanged(pictures=pictures, recent=recent))
            case TrashPictures(pictures=pictures) | RestorePictures(pictures=pictures):
                await self._gallery.trash(pictures, trashed=isinstance(command, TrashPictures))
                recent = await self._gallery.recent(RECENT_PICTURES)
                self._board.tell(PicturesChanged(pictures=pictures, recent=recent))
            case EmptyTrash():
                count = await self._gallery.empty_trash()
                self._board.tell(PicturesChanged(pictures=[]))
                return count
            case ExportPictures():
                return await self._export(command)
            case MakeContactSheet():
                return await self._make_contact_sheet(command)
            case StartSweep(sweep=sweep):
                await self._start_sweep(sweep)
            case GetSweeps():
                return await self._sweeps.ids()
            case GetSweep(sweep_id=sweep_id):
                return await self._sweeps.state(sweep_id)
            case CountTokens():
                return await self._count_tokens(command)
            case GetPrompts(limit=limit):
                return await self._queue.prompts(limit)
            case Recall():
                return await self._recall(command)
            case StoreMask():
                return str(await asyncio.to_thread(_kept_mask, self._paths.masks, command))
            case CompletePath(text=text, folders=folders):
                return await asyncio.to_thread(complete_path, text, folders=folders)
            case ReadLog(since=since):
                return await self._read_log(since)
            case Rescan():
                self._in_background(self._library.scan())
            case CancelScan():
                self._library.cancel()
            case GetLibrary():
                return self._library.page(command)
            case StartDownload(source=source, folder=folder, environment=environment):
                return await self._downloads.start(source, folder or await self._download_folder(), environment)
            case CancelDownload(id=number):
                await self._downloads.cancel(number)
            case Shutdown():
                self._stop.set()
            case Fetch():
                raise AssertionError("sessions answer Fetch through _fetch")
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

    def _first_orders(self) -> list[WorkerCommand]:
        """What a fresh worker must know before it is given work."""
        orders: list[WorkerCommand] = []
        if self._settings.engine.memory_budget:
            orders.append(_budget(self._settings))
        places = {name: self._models.path_of(name) for name in self._settings.pinned_models}
        return orders + [PinModel(model=name, path=path) for name, path in places.items() if path]

    async def _pin(self, name: str, *, pinned: bool) -> None:
        model = await self._models.find(name)
        others = [one for one in self._settings.pinned_models if one != model.name]
        await self._save_setting("pinned_models", [*others, model.name] if pinned else others)
        await self._pool.order(PinModel(model=model.name, path=model.path, pinned=pinned), start=False)

    async def _set_autoload(self, name: str) -> None:
        known = (await self._models.find(name)).name if name else ""
        await self._save_setting("autoload_model", known)

    async def _save_setting(self, name: str, value: str | list[str]) -> None:
        """Write a setting and act on it from now on; the environment goes on to win where it says something else."""
        await asyncio.to_thread(save_setting, self._paths, name, value)
        self._settings = replace(self._settings, **{name: value})
        self._tell_settings()

    async def _read_settings(self) -> None:
        """Act on what the settings say now."""
        former, now = self._settings, await asyncio.to_thread(load_settings, self._paths)
        self._settings = now
        self._pool.use_settings(now.engine, now.pictures(self._paths))
        self._wildcards.folder = now.wildcards(self._paths)
        self._tell_settings()
        if (former.model_folders, former.compile_models) != (now.model_folders, now.compile_models):
            await self._pool.renew_worker()
        else:
            orders: list[WorkerCommand] = [*self._pins_changed(former, now)]
            if former.engine.memory_budget != now.engine.memory_budget:
                orders.append(_budget(now))
            for order in orders:
                self._in_background(self._pool.order(order, start=False))
        if _looking(former) != _looking(now):
            self._in_background(self._look_elsewhere())

    async def _download_folder(self) -> str:
        """The first model folder; where there is none, one of our own becomes it, and is searched from now on."""
        folders = (await asyncio.to_thread(load_settings, self._paths)).models()
        if not folders:
            folders = [self._paths.models]
            await asyncio.to_thread(save_setting, self._paths, "model_folders", [short_path(folders[0])])
            await self._read_settings()
        return str(folders[0].absolute())

    async def _look_elsewhere(self) -> None:
        """Find the models of other folders: first what lies at hand, then all the rest."""
        self._models.folders = self._settings.models()
        await self._models_changed(self._library.files)
        self._places_changed.set()
        if not self._settings.watch_models:
            await self._library.scan()

    def _pins_changed(self, former: Settings, now: Settings) -> list[PinModel]:
        names = set(former.pinned_models) ^ set(now.pinned_models)
        places = {name: self._models.path_of(name) for name in sorted(names)}
        return [
            PinModel(model=name, path=path, pinned=name in now.pinned_models) for name, path in places.items() if path
        ]

    def _tell_settings(self) -> None:
        self._board.tell(self._kept())
        self._board.tell(SettingsRead(values=told_settings(self._settings)))

    def _kept(self) -> KeptModels:
        return KeptModels(pinned=self._settings.pinned_models, autoload=self._settings.autoload_model)

    async def _swap(self, command: SwapMode) -> None:
        model = await self._models.find(command.model)
        if command.mode not in model.modes:
            raise bad_request(f"{model.name} has no mode {command.mode}.", f"It has: {', '.join(model.modes)}.")
        if (left := command.leaving) is not None and self._models.path_of(left.model):
            await self._modes.save(left.model, left.mode, left.state)
            self._board.tell(ModeRemembered(model=left.model, mode=left.mode, state=left.state))
        order = SwapMode(model=model.name, mode=command.mode, path=model.path)
        self._in_background(self._pool.order(order, start=False))

    def _in_background(self, work: Coroutine[None, None, object]) -> None:
        """Carry out `work` beside the answer to a client; a failure is told to all of them."""

        async def guarded() -> None:
            try:
                await work
            except LatenttyError as error:
                self._board.tell(Warning(problem=error.problem))

        task = asyncio.create_task(guarded())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _submit(self, job: Job) -> JobRecord:
        record, new = await self._queue.submit(await self._accept(job))
        return self._queued(record) if new else record

    async def _start_sweep(self, sweep: Sweep) -> None:
        jobs = [await self._accept(cell.job) for cell in in_order(cells(sweep))]
        await self._sweeps.save(sweep)
        for job in jobs:
            record, new = await self._queue.submit(job)
            if new:
                self._queued(record)

    async def _accept(self, job: Job) -> Job:
        """`job` with everything filled in that the engine fills in.

        Raises:
            LatenttyError: it cannot be drawn.
        """
        await self._models.look_for(*(control.model for control in job.controls))
        model = await self._models.find(job.model)
        if not job.format and self._settings.picture_format != "png":
            job = replace(job, format=self._settings.picture_format, quality=self._settings.picture_quality)
        try:
            job = await asyncio.to_thread(prepare, job, model, self._wildcards, self._addons)
        except NoSuchAddon:  # it may have been put there a moment ago
            await self._look_again()
            job = await asyncio.to_thread(prepare, job, model, self._wildcards, self._addons)
        refuse_impossible(job, model, {info.name: info for info in self._models.controlnets})
        return job

    async def _look_again(self) -> None:
        """Bring the library up to date, or as far as it comes in the time that a client can wait."""
        search = asyncio.create_task(self._library.scan())
        self._background.add(search)
        search.add_done_callback(self._background.discard)
        await asyncio.wait({search}, timeout=LOOK_FOR)

    async def _count_tokens(self, command: CountTokens) -> TokenCounts:
        model = await self._models.find(command.model)

        def count() -> TokenCounts:
            known = self._addons.embeddings() if model.weighting else {}
            vectors = {name: self._addons.header(path).rows for name, path in known.items()}
            counts = count_tokens(model, command.prompt, command.steps, vectors)
            missing = missing_from(command.prompt, self._wildcards, self._addons)
            return replace(counts, notices=[*counts.notices, *missing])

        return await asyncio.to_thread(count)

    async def _recall(self, command: Recall) -> Recalled:
        path = expanded(command.path) if command.path else await self._gallery.file(command.picture_id)
        return await asyncio.to_thread(recall, path)

    async def _export(self, command: ExportPictures) -> list[str]:
        paths = [await self._gallery.file(one) for one in command.pictures]
        copies = await asyncio.to_thread(export_pictures, paths, Path(command.folder), metadata=command.metadata)
        return [str(copy) for copy in copies]

    async def _make_contact_sheet(self, command: MakeContactSheet) -> str:
        paths = [await self._gallery.file(one) if one else None for one in command.pictures]
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

    def _warm(self) -> set[str]:
        """The models that are on the device, whole, by their names and paths."""
        residency = self._board.snapshot.residency
        components = residency.components if residency is not None else []
        away = {name for one in components if one.device == "disk" for name in one.model.split(", ")}
        there = {name for one in components for name in one.model.split(", ")} - away
        return there | {self._models.path_of(name) for name in there} - {""}

    def _queued(self, record: JobRecord) -> JobRecord:
        if record.open:
            self._board.tell(JobQueued(record=record))
            self._pool.wake()
        return record

    async def _fetch(self, command: Fetch) -> bytes:
        if command.path:
            path = _absolute(command.path)
            if command.draft and not (path := await asyncio.to_thread(draft_of, self._paths.masks, path)).exists():
                raise LatenttyError(Problem(code="not_found", cause="No mask of this picture was begun."))
        else:
            path = await (self._start_of if command.start else self._gallery.file)(command.picture_id)
        return await asyncio.to_thread(self._thumbnails.png, path, command.width, command.height)

    async def _start_of(self, picture_id: int) -> Path:
        """The file that a picture was made from.

        Raises:
            LatenttyError: it was made from its prompt alone.
        """
        record = await self._queue.get(await self._gallery.job_of(picture_id))
        if not record.job.image:
            raise LatenttyError(Problem(code="not_found", cause="This picture was made from its prompt alone."))
        return Path(record.job.image)

    # ---- what happens by itself --------------------------------------------------------------------------------

    async def _autoload(self) -> None:
        if not self._settings.autoload:
            return
        fallback = self._models.bundled
        wanted = self._settings.autoload_model or self._board.snapshot.last_model
        if not self._models.path_of(self._models.name_of(wanted)):
            await self._models.looked.wait()
        name = self._models.name_of(wanted)
        command = Autoload(
            model=name, path=self._models.path_of(name) or name, fallback=fallback.name, fallback_path=fallback.path
        )
        try:
            await self._pool.order(command)
        except LatenttyError as error:
            if not self._stop.is_set():  # which is why there is no worker any more
                self._board.tell(Warning(problem=error.problem, lasting=True))

    async def _first_look(self) -> None:
        """Replace what the last engine found by what is there, and do what had to wait for that."""
        unknown = [name for name in self._settings.pinned_models if not self._models.path_of(name)]
        try:
            if self._settings.watch_models:
                await self._library.searched.wait()
            if not self._models.looked.is_set():
                await self._models_changed(self._library.files)
            await asyncio.to_thread(self._thumbnails.prune)
        except (OSError, sqlite3.Error):
            log.exception("what lies on the disk cannot be looked through")
        finally:
            self._models.looked.set()
        for name in unknown:
            if path := self._models.path_of(name):
                self._in_background(self._pool.order(PinModel(model=name, path=path), start=False))

    async def _watch_models(self) -> None:
        """Look after the model folders, as long and as far as the settings say."""
        while True:
            self._places_changed.clear()
            changed = asyncio.create_task(self._places_changed.wait())
            tasks: set[asyncio.Task[object]] = {changed}
            if self._settings.watch_models:
                tasks.add(asyncio.create_task(self._library.watch(hashes=self._settings.hash_models)))
            try:
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in ended - {changed}:
                task.result()

    async def _keep_place(self) -> None:
        """Have the state folder be this engine's while it runs, also after someone has removed it."""
        while True:
            await asyncio.sleep(TICK)
            if not self._lock.is_removed:
                continue
            try:
                _write_log_anew()
                self._lock.take_again()
            except AlreadyRunning:
                log.error("the state folder was removed, and another engine has begun a new one: the end")
                self._stop.set()
                return
            except OSError:
                log.exception("the state folder was removed and cannot be made anew now; the engine looks again")
                continue
            log.warning("the state folder was removed; it is made anew, with the queue as it was")
            self._publish(self._socket)

    async def _rest(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            work_left = self._pool.busy or await self._has_work()
            if work_left:
                self._active, self._unloaded = time.monotonic(), False
            idle = time.monotonic() - self._active
            rests = due(self._settings.engine, idle, work_left=work_left, clients=len(self._board.sessions))
            if "exit" in rests and not self._downloads.busy:
                log.info("nothing to do for %.0f s: the end", idle)
                self._stop.set()
            elif "end_worker" in rests and self._pool.worker != "absent":
                await self._pool.end_worker()
            elif "unload" in rests and not self._unloaded:
                self._unloaded = True
                await self._unload()

    async def _has_work(self) -> bool:
        try:
            return await self._queue.has_work()
        except sqlite3.Error:
            log.exception("the queue cannot be read")
            return True

    async def _unload(self) -> None:
        try:
            await self._pool.order(UnloadModel(keep_pinned=True), start=False)
        except LatenttyError as error:
            self._board.tell(Warning(problem=error.problem))


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


def _budget(settings: Settings) -> SetBudget:
    return SetBudget(bytes=round(settings.engine.memory_budget * (1 << 30)))


def _looking(settings: Settings) -> tuple[object, ...]:
    """Where models are looked for, and how."""
    return settings.model_folders, settings.other_programs, settings.watch_models, settings.hash_models


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the autoload failed", exc_info=error)


def _refusal(problem: Problem) -> Refused:
    return Refused(protocol=PROTOCOL_VERSION, version=tui.__version__, pid=os.getpid(), problem=problem)


def _another_version(hello: Hello) -> Problem:
    return Problem(
        code="engine_unavailable",
        cause=f"The running engine is Latentty {tui.__version__}, this is {hello.version}; they do not understand"
        " each other.",
        hint="End the old one, which keeps its queue for the new: latentty engine stop",
    )


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """A log that its owner alone can read, after its rotation too."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=open_private)  # type: ignore[return-value]

    def begin_anew(self) -> None:
        """Write to a new file from the next line on, in its folder."""
        make_folder(Path(self.baseFilename).parent, 0o700)
        self.acquire()
        try:
            former, self.stream = self.stream, self._open()
            if former is not None:
                former.close()
        finally:
            self.release()


class _Discreet(logging.Formatter):
    """Lines without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def _write_log_anew() -> None:
    """Have the log be a file of that name again, when it was removed."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _PrivateLog):
            handler.begin_anew()


def write_log(path: Path) -> None:
    """Send all logging to `path`, rotated, readable by its owner alone."""
    make_folder(path.parent, 0o700)
    handler = _PrivateLog(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)
