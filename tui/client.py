"""Find an engine, start one if none answers, attach, and stay attached: commands out, events in."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import msgspec

import tui
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.protocol import PROTOCOL_VERSION
from tui.protocol.commands import (
    ClientCommand,
    CompletePath,
    Done,
    Failed,
    Fetch,
    GetModel,
    GetPictures,
    Ping,
    ReadLog,
    StoreMask,
    Submit,
)
from tui.protocol.events import ClientEvent, JobRecord, ModelInfo, Picture
from tui.protocol.frames import (
    MALFORMED,
    MAX_FRAME,
    Chunk,
    FrameError,
    Hello,
    Numbered,
    Preview,
    Refused,
    Request,
    Welcome,
    encode,
    engine_frames,
    read_frame,
)
from tui.protocol.job import Job
from tui.protocol.log import LogPart, LogPlace
from tui.protocol.paths import PathFound
from tui.protocol.peer import is_same_user
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot, apply

ANSWER_WITHIN: Final = 5.0
"""Seconds that an engine has to greet back."""

START_WITHIN: Final = 30.0
"""Seconds that an engine has from its start to its listening."""

TRY_AGAIN: Final = 2.0
"""Seconds until an engine that could not be reached is tried again."""

BEAT: Final = 2.0
"""Seconds after which an engine that says nothing is asked whether it lives."""

SILENT_AFTER: Final = 4
"""Beats without a word, of which it was asked at the first, after which it is told that it does not answer."""

SILENT: Final = Problem(
    code="engine_unavailable",
    cause="The engine does not answer.",
    hint="What is queued is kept, and what you ask for waits. If it stays so: latentty engine stop",
)

Arrived = Callable[[int, int], None]
"""Told how many bytes of a picture are here, and of how many."""

Starter = subprocess.Popen[bytes]
"""A process that ends once an engine listens."""


class EngineAbsent(LatenttyError):
    """No engine runs."""

    def __init__(self) -> None:
        super().__init__(
            Problem(code="engine_unavailable", cause="No engine is running.", hint="Start one: latentty engine start")
        )


class Watcher(Protocol):
    """Whoever wants to know. Called on the event loop; every call but `engine_event` follows a change of the whole."""

    def engine_attached(self, snapshot: Snapshot) -> None:
        """An engine answers; `snapshot` stays true from now on."""

    def engine_event(self, event: ClientEvent) -> None:
        """Something happened; the snapshot knows already."""

    def engine_preview(self, preview: Preview) -> None:
        """The picture as it forms."""

    def engine_detached(self, problem: Problem | None) -> None:
        """No engine answers now; None while one is being looked for."""

    def engine_silent(self, problem: Problem | None) -> None:
        """The engine that is attached to says nothing, though asked; None when it does again."""


@dataclass
class _Open:
    """A request that has no reply yet; it is sent again to the next engine if this one goes."""

    command: ClientCommand
    reply: asyncio.Future[msgspec.Raw]
    data: bytearray = field(default_factory=bytearray)
    arrived: Arrived | None = None


class EngineClient:
    """A client that outlives engines. Every command may be repeated safely, so none is lost with one."""

    def __init__(self, paths: Paths, watcher: Watcher, *, start: bool = True, starter: Starter | None = None) -> None:
        """`start` one where none runs; `starter` does so already."""
        self.paths = paths
        """Where this user's files lie."""
        self._watcher = watcher
        self._start = start
        self._starter = starter
        self._writer: asyncio.StreamWriter | None = None
        self._boot = ""
        self._seq = 0
        self._last_id = 0
        self._open: dict[int, _Open] = {}
        self._wanted = asyncio.Event()
        self._unheard = 0
        self.snapshot: Snapshot | None = None
        """The state as far as known; None before the first engine answers."""

    async def run(self) -> None:
        """Attach, and again whenever the engine is lost, until cancelled.

        An engine that ended because it was asked to is not started again before there is a command for it.
        """
        while True:
            try:
                reader, writer, welcome = await self._attach()
            except LatenttyError as error:
                self._watcher.engine_detached(error.problem)
                await asyncio.sleep(TRY_AGAIN)
                continue
            try:
                await self._stay(reader, writer, welcome)
            finally:
                self._writer = None
                writer.transport.abort()
            self._watcher.engine_detached(None)
            if self.snapshot is not None and self.snapshot.engine.stopping and not self._open:
                self._wanted.clear()
                await self._wanted.wait()

    @property
    def is_attached(self) -> bool:
        """Whether an engine answers now and goes on; a request made while none does waits for one, or starts one."""
        return self._writer is not None and self.snapshot is not None and not self.snapshot.engine.stopping

    @property
    def is_silent(self) -> bool:
        """Whether the engine says nothing, though asked: the snapshot is what it said last."""
        return self._unheard >= SILENT_AFTER

    async def request(self, command: ClientCommand) -> msgspec.Raw:
        """The result of `command`, from this engine or the next.

        Raises:
            LatenttyError: it could not be carried out.
        """
        return await self._ask(_Open(command, asyncio.get_running_loop().create_future()))

    async def submit(self, job: Job) -> JobRecord:
        """Queue `job`; when this returns it is on the disk.

        Raises:
            LatenttyError: the engine does not accept it.
        """
        return msgspec.msgpack.decode(await self.request(Submit(job=job)), type=JobRecord)

    async def model(self, name: str) -> ModelInfo:
        """The model with that name, or in that folder.

        Raises:
            LatenttyError: it is missing or damaged.
        """
        return msgspec.msgpack.decode(await self.request(GetModel(model=name)), type=ModelInfo)

    async def pictures(self, job_id: str) -> list[Picture]:
        """The pictures that a job has saved."""
        return msgspec.msgpack.decode(await self.request(GetPictures(job_id=job_id)), type=list[Picture])

    async def fetch(self, picture_id: int, width: int, height: int, *, start: bool = False) -> bytes:
        """A picture as a PNG of at most `width` × `height` pixels; with `start` what it was made from.

        Raises:
            LatenttyError: it is gone, or was made from nothing.
        """
        return await self._fetch(Fetch(picture_id=picture_id, width=width, height=height, start=start))

    async def fetch_file(
        self, path: str, width: int, height: int, *, draft: bool = False, arrived: Arrived | None = None
    ) -> bytes:
        """The picture at `path` on the engine's box as a PNG of at most `width` × `height` pixels.

        With `draft` the mask of it that was begun; `arrived` is told of every piece.

        Raises:
            LatenttyError: it is not there, or no picture.
        """
        return await self._fetch(Fetch(path=path, width=width, height=height, draft=draft), arrived)

    async def store_mask(self, data: bytes, picture: str = "", *, draft: bool = False) -> str:
        """Have the engine keep a mask painted on `picture`, a PNG, as a `draft` or for good; its path there.

        Raises:
            LatenttyError: it cannot be written.
        """
        command = StoreMask(data=data, picture=picture, draft=draft)
        return msgspec.msgpack.decode(await self.request(command), type=str)

    async def complete(self, text: str, *, folders: bool = False) -> PathFound:
        """What the path `text` leads to on the engine's box, and how it may go on.

        Raises:
            LatenttyError: the text is longer than a path can be.
        """
        answer = await self.request(CompletePath(text=text, folders=folders))
        return msgspec.msgpack.decode(answer, type=PathFound)

    async def read_log(self, since: LogPlace) -> LogPart:
        """What was added to the engine's log.

        Raises:
            LatenttyError: it cannot be read.
        """
        return msgspec.msgpack.decode(await self.request(ReadLog(since=since)), type=LogPart)

    async def _fetch(self, command: Fetch, arrived: Arrived | None = None) -> bytes:
        asked = _Open(command, asyncio.get_running_loop().create_future(), arrived=arrived)
        await self._ask(asked)
        return bytes(asked.data)

    async def _ask(self, asked: _Open) -> msgspec.Raw:
        self._last_id += 1
        number = self._last_id
        self._open[number] = asked
        self._wanted.set()
        try:
            self._send(number, asked.command)
            return await asked.reply
        finally:
            del self._open[number]

    def _send(self, number: int, command: ClientCommand) -> None:
        if self._writer is not None:
            self._writer.write(encode(Request(id=number, command=command)))

    async def _attach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Welcome]:
        hello = Hello(protocol=PROTOCOL_VERSION, version=tui.__version__, boot=self._boot, since=self._seq)
        if self._starter is not None:
            starter, self._starter = self._starter, None
            await start_engine(self.paths, starter)
        try:
            return await attach(self.paths, hello)
        except EngineAbsent:
            if not self._start:
                raise
        await start_engine(self.paths)
        return await attach(self.paths, hello)

    async def _stay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, welcome: Welcome) -> None:
        if welcome.snapshot is not None:
            self.snapshot = welcome.snapshot
            self._seq = welcome.seq
        self._boot = welcome.boot
        assert self.snapshot is not None, "an engine leaves the snapshot out only for a client that has one"
        self._watcher.engine_attached(self.snapshot)
        self._writer = writer
        for number, asked in self._open.items():
            asked.data.clear()
            self._send(number, asked.command)
        beating = asyncio.create_task(self._beat())
        try:
            while (frame := await read_frame(reader, MAX_FRAME)) is not None:
                self._hear()
                self._take(self.snapshot, frame)
        except (FrameError, OSError):
            return
        finally:
            beating.cancel()
            self._hear()

    async def _beat(self) -> None:
        """Tell when the engine stands still. Beats are counted, not seconds: none pass while this process does."""
        while True:
            await asyncio.sleep(BEAT)
            self._unheard += 1
            if self._unheard == 1:
                self._send(0, Ping())
            if self._unheard == SILENT_AFTER:
                self._watcher.engine_silent(SILENT)

    def _hear(self) -> None:
        was_silent, self._unheard = self.is_silent, 0
        if was_silent:
            self._watcher.engine_silent(None)

    def _take(self, snapshot: Snapshot, frame: bytes) -> None:
        try:
            decoded = engine_frames.decode(frame)
        except MALFORMED:
            return  # an event of a newer engine, which this client cannot know
        match decoded:
            case Numbered(seq=seq, event=event):
                self._seq = seq
                apply(snapshot, event)
                self._watcher.engine_event(event)
            case Preview():
                self._watcher.engine_preview(decoded)
            case Chunk(id=number, data=data, total=total):
                if (asked := self._open.get(number)) is not None:
                    asked.data += data
                    if asked.arrived is not None:
                        asked.arrived(len(asked.data), total)
            case Done(id=number, result=result):
                if number in self._open and not self._open[number].reply.done():
                    self._open[number].reply.set_result(result)
            case Failed(id=number, problem=problem):
                if number in self._open and not self._open[number].reply.done():
                    self._open[number].reply.set_exception(LatenttyError(problem))


async def attach(paths: Paths, hello: Hello) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Welcome]:
    """Connect to the engine that runs and greet it.

    Raises:
        EngineAbsent: none runs.
        LatenttyError: it does not answer, is another version's, or is not ours.
    """
    told = read_engine_file(paths.lock_file)
    try:
        connection = _connected(paths)
    except OSError:
        raise EngineAbsent from None
    if not is_same_user(connection):
        connection.close()
        path = _socket_file(paths)
        raise _unavailable(f"The socket {path} is another user's.", "Remove it, or set XDG_RUNTIME_DIR.")
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        return reader, writer, await _greet(reader, writer, hello, told.pid if told else 0)
    except BaseException:
        writer.transport.abort()
        raise


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello, engine_pid: int) -> Welcome:
    writer.write(encode(hello))
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            frame = await read_frame(reader, MAX_FRAME)
        answer = None if frame is None else engine_frames.decode(frame)
    except TimeoutError:
        raise _unavailable(
            f"The engine (process {engine_pid}) is running but does not answer.",
            "End it, which keeps its queue: latentty engine stop --force",
        ) from None
    except (FrameError, OSError):
        raise EngineAbsent from None  # it ended while we came
    except MALFORMED as error:
        raise _unavailable(
            f"The running engine (process {engine_pid}) speaks another version's language ({error}).",
            "End it, which keeps its queue: latentty engine stop",
        ) from None
    match answer:
        case Welcome():
            return answer
        case Refused(problem=problem):
            raise LatenttyError(problem)
        case _:
            raise EngineAbsent


def _unavailable(cause: str, hint: str) -> LatenttyError:
    return LatenttyError(Problem(code="engine_unavailable", cause=cause, hint=hint))


def begin_engine(paths: Paths) -> Starter | None:
    """Start an engine's process without waiting for it; None where one runs."""
    try:
        _connected(paths).close()
    except OSError:
        return _starter()
    return None


async def start_engine(paths: Paths, starter: Starter | None = None) -> None:
    """Start an engine in a session of its own; return when it, or another one just started, listens.

    `starter` is from :func:`begin_engine`, if that was called before.

    Raises:
        LatenttyError: it could not start; the cause is its own last words.
    """
    starter = starter or _starter()
    try:
        async with asyncio.timeout(START_WITHIN):
            said = await _last_words(starter)
    except TimeoutError:
        starter.kill()
        starter.wait()
        raise _unavailable(
            f"The engine did not listen within {START_WITHIN:.0f} s.", f"Read why: {paths.log_file}"
        ) from None
    if starter.wait():
        words = said.decode(errors="replace").strip() or f"exit status {starter.returncode}"
        raise _unavailable(f"The engine cannot start: {words}", f"More may be in {paths.log_file}.")


async def _last_words(starter: Starter) -> bytes:
    """All that `starter` says until it ends. No thread waits for it, for whom the end of this process would wait."""
    assert starter.stderr is not None
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), starter.stderr)
    try:
        return await reader.read()
    finally:
        transport.close()


def _starter() -> Starter:
    return subprocess.Popen(
        [sys.executable, "-m", "tui", "engine", "run", "--detach"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
    )


def _connected(paths: Paths) -> socket.socket:
    """A connection to the engine that runs; OSError where none does."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(_socket_file(paths)))
    except OSError:
        connection.close()
        raise
    return connection


def _socket_file(paths: Paths) -> Path:
    told = read_engine_file(paths.lock_file)
    return Path(told.socket) if told is not None else paths.socket_file()
