"""The engine as a whole: what it owns, how it starts, what it answers, when it ends."""

import asyncio
import logging
import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import tui
from tui.engine.answers import Answers
from tui.engine.background import Background
from tui.engine.board import Board
from tui.engine.database import Database
from tui.engine.downloads import Downloads
from tui.engine.home import ChildHome, Home
from tui.engine.idle import due
from tui.engine.intake import Intake
from tui.engine.library import Library
from tui.engine.listener import Listener
from tui.engine.lock import AlreadyRunning, EngineLock
from tui.engine.log_file import write_anew
from tui.engine.model_index import ModelIndex
from tui.engine.model_watch import ModelWatch
from tui.engine.pool import Pool
from tui.engine.session import Session
from tui.engine.settings_in_force import SettingsInForce
from tui.engine.stores import Stores
from tui.library.addons import Addons
from tui.library.engine_file import EngineFile
from tui.library.paths import Paths
from tui.library.places import lending, out_of_reach, places
from tui.library.prompt.wildcards import Wildcards
from tui.library.settings import Settings, load_settings
from tui.library.thumbnails import Thumbnails
from tui.protocol import PROTOCOL_VERSION
from tui.protocol.commands import Autoload, ClientCommand, ReadLog, UnloadModel
from tui.protocol.events import EngineState, JobQueued, JobRecord, Warning
from tui.protocol.frames import FrameError, Hello, Refused, Welcome
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import RECENT_JOBS, RECENT_PICTURES

log = logging.getLogger(__name__)

TICK: Final = 1.0
"""Seconds between two looks at how long nothing has happened."""

MAX_CLIENTS: Final = 128
"""Clients that are attached at a time."""

LAST_WORDS: Final = 0.05
"""Seconds for the last events to reach the clients."""


class Engine:
    """One engine process. Its state is a Snapshot, changed by its own events alone."""

    def __init__(
        self, paths: Paths, settings: Settings, lock: EngineLock, make_home: Callable[[], Home] = ChildHome
    ) -> None:
        self._paths = paths
        self._lock = lock
        self._boot = secrets.token_hex(8)
        self._database = Database(paths.database_file)
        self._stores = Stores.of(self._database)
        self._board = Board(EngineState(version=tui.__version__, pid=os.getpid()))
        self._background = Background(self._board.tell)
        self._thumbnails = Thumbnails(paths.cache / "thumbnails")
        self._listener = Listener(paths.socket_file, self._serve, self._publish)
        self._models = ModelIndex(settings.models(), lambda: lending(self._settings.now))
        self._library = Library(
            self._database,
            lambda: places(self._settings.now.models(), others=self._settings.now.other_programs),
            lambda: out_of_reach(self._settings.now.models()),
            tell=self._board.tell,
            on_change=lambda files: self._watch.changed(files),
            is_busy=lambda: self._pool.busy,
        )
        self._watch = ModelWatch(
            settings=lambda: self._settings.now,
            models=self._models,
            library=self._library,
            last=self._stores.last_models,
            tell=self._board.tell,
            background=self._background,
        )
        self._downloads = Downloads(
            self._database, lambda: load_settings(paths), tell=self._board.tell, on_done=self._library.scan
        )
        self._pool = Pool(
            queue=self._stores.queue,
            make_home=make_home,
            models=self._models,
            settings=settings.engine,
            first_orders=lambda: self._settings.first_orders(),
            pictures=settings.pictures(paths),
            tell=self._board.tell,
            show=self._board.show,
            on_change=self._tell_state,
            warm=self._warm,
        )
        wildcards = Wildcards(settings.wildcards(paths))
        self._settings = SettingsInForce(
            settings,
            paths=paths,
            board=self._board,
            models=self._models,
            watch=self._watch,
            wildcards=wildcards,
            pool=self._pool,
            background=self._background,
        )
        intake = Intake(
            settings=lambda: self._settings.now,
            stores=self._stores,
            models=self._models,
            addons=Addons(lambda: self._library.files),
            wildcards=wildcards,
            look_again=self._watch.look_again,
            queued=self._queued,
        )
        self._answers = Answers(
            paths=paths,
            stores=self._stores,
            board=self._board,
            settings=self._settings,
            models=self._models,
            library=self._library,
            downloads=self._downloads,
            intake=intake,
            pool=self._pool,
            thumbnails=self._thumbnails,
            background=self._background,
            stop=self.stop,
        )
        self._socket = Path()
        self._active = time.monotonic()
        self._unloaded = False
        self._stop = asyncio.Event()

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
        await self._stores.queue.recover(
            Problem(
                code="worker_died",
                cause="The engine died while this job ran.",
                hint="Retry it; if that happens again, read: latentty engine logs",
            )
        )
        await self._library.load()
        self._models.restore(await self._stores.last_models.load())
        snapshot = self._board.snapshot
        for record in await self._stores.queue.open_and_recent(RECENT_JOBS):
            snapshot.jobs[record.job.id] = record
        snapshot.pictures = await self._stores.gallery.recent(RECENT_PICTURES)
        snapshot.models = self._models.models
        snapshot.controlnets = self._models.controlnets
        snapshot.annotators = self._models.annotators
        snapshot.library = self._library.state
        snapshot.downloads = await self._downloads.load()
        self._settings.show()
        snapshot.mode_states = await self._stores.modes.all()
        snapshot.draft = await self._stores.draft.load()
        snapshot.last_model = await self._stores.queue.last_model() or self._models.bundled.name
        self._pool.set_paused(await self._stores.queue.paused())

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
                self._watch.watch(),
                self._keep_place(),
                self._rest(),
            )
        }
        self._background.begin(self._first_look())
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
            await session.serve(welcome, missed or [], self._answer, self._answers.fetch)
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

    async def _answer(self, command: ClientCommand) -> object:
        if not isinstance(command, ReadLog):  # a screen that is left open keeps nothing awake
            self._active = time.monotonic()
            self._unloaded = False
        return await self._answers.answer(command)

    # ---- for those who act on it -------------------------------------------------------------------------------

    def _warm(self) -> set[str]:
        """The models that are on the device, whole, by their names and paths."""
        residency = self._board.snapshot.residency
        components = residency.components if residency is not None else []
        away = {name for one in components if one.device == "disk" for name in one.model.split(", ")}
        there = {name for one in components for name in one.model.split(", ")} - away
        return there | {self._models.path_of(name) for name in there} - {""}

    def _queued(self, record: JobRecord) -> None:
        if record.open:
            self._board.tell(JobQueued(record=record))
            self._pool.wake()

    # ---- what happens by itself --------------------------------------------------------------------------------

    async def _autoload(self) -> None:
        settings = self._settings.now
        if not settings.autoload:
            return
        fallback = self._models.bundled
        wanted = settings.autoload_model or self._board.snapshot.last_model
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
        """Find what is on the disk now, and do what had to wait for that."""
        unknown = self._settings.pins_without_a_place()
        await self._watch.first_look()
        self._settings.pin_found(unknown)
        try:
            await asyncio.to_thread(self._thumbnails.prune)
        except OSError:
            log.exception("thumbnails that nobody needs cannot be removed")

    async def _keep_place(self) -> None:
        """Have the state folder be this engine's while it runs, also after someone has removed it."""
        while True:
            await asyncio.sleep(TICK)
            if not self._lock.is_removed:
                continue
            try:
                write_anew()
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
            rests = due(self._settings.now.engine, idle, work_left=work_left, clients=len(self._board.sessions))
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
            return await self._stores.queue.has_work()
        except sqlite3.Error:
            log.exception("the queue cannot be read")
            return True

    async def _unload(self) -> None:
        try:
            await self._pool.order(UnloadModel(keep_pinned=True), start=False)
        except LatenttyError as error:
            self._board.tell(Warning(problem=error.problem))


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
