"""One attached client: its requests in, its replies, events and previews out."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import msgspec
from msgspec import Struct

from tui.protocol.commands import (
    Annotate,
    ClientCommand,
    CompletePath,
    CountTokens,
    Done,
    EnsureAdapter,
    EnsureControlNet,
    ExportPictures,
    Failed,
    Fetch,
    LoadModel,
    MakeContactSheet,
    Ping,
    ReadLog,
    Recall,
    StoreMask,
    UnloadModel,
)
from tui.protocol.frames import (
    CHUNK,
    MALFORMED,
    MAX_REQUEST,
    Chunk,
    FrameError,
    Hello,
    Numbered,
    Preview,
    Refused,
    Request,
    Welcome,
    client_frames,
    encode,
    payload,
    read_frame,
)
from tui.protocol.problem import LatenttyError, Problem, bad_request

log = logging.getLogger(__name__)

MAX_BACKLOG: Final = 32 << 20
"""Bytes that wait for a client which does not read; above it the client is let go and may attach anew."""

HELLO_WITHIN: Final = 5.0
"""Seconds that a client has to say who it is."""

LONG: Final = (
    LoadModel,
    UnloadModel,
    EnsureControlNet,
    EnsureAdapter,
    Annotate,
    CountTokens,
    Recall,
    ExportPictures,
    MakeContactSheet,
    StoreMask,
    CompletePath,
    ReadLog,
)
"""Commands that wait for a worker or a disk; what follows them, such as a Cancel, does not wait for them."""

SEND_SIZE: Final = 256 << 10
"""Bytes of a client's backlog below which the next chunk of a picture is added."""

READ_SIZE: Final = 4 << 20
"""Bytes of a client's backlog above which no further request of its is read."""

MAX_OPEN: Final = 64
"""Requests of one client that are carried out at a time; the next is read when one of them has its reply."""

MAX_PICTURES: Final = 4
"""Pictures that are made ready for one client at a time; each is held in memory until the client has read it."""


class Session:
    """A client from its connection to its end. A slow one delays nobody: its backlog is its own, and bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._preview: Preview | None = None
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._open = asyncio.Semaphore(MAX_OPEN)
        self._pictures = asyncio.Semaphore(MAX_PICTURES)
        self._gone = False

    async def hello(self) -> Hello:
        """The client's first frame.

        Raises:
            FrameError: it sent something else, or nothing in time.
        """
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                frame = await read_frame(self._reader, MAX_REQUEST)
            if frame is None:
                raise FrameError("the client left without a word")
            hello = client_frames.decode(frame)
        except (TimeoutError, *MALFORMED) as error:
            raise FrameError(f"no greeting: {error}") from None
        if not isinstance(hello, Hello):
            raise FrameError("a request before the greeting")
        return hello

    def send(self, frame: Struct) -> None:
        """Queue `frame` for the client."""
        self.send_encoded(encode(frame))

    def send_encoded(self, data: bytes) -> None:
        """Queue an encoded frame; events are encoded once for all clients."""
        if self._gone:
            return
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        if self._backlog_bytes > MAX_BACKLOG:
            log.warning("a client does not read; it is let go")
            self.close()
        self._changed.set()

    def show(self, preview: Preview) -> None:
        """Offer a preview frame: sent when nothing else waits, replaced by a newer one until then."""
        self._preview = preview
        self._changed.set()

    def close(self) -> None:
        """End the connection now."""
        self._gone = True
        self._writer.transport.abort()
        self._changed.set()
        self._drained.set()

    async def refuse(self, refused: Refused) -> None:
        """Say no and let the client read it."""
        self._writer.write(encode(refused))
        await self._writer.drain()

    async def serve(
        self,
        welcome: Welcome,
        missed: list[Numbered],
        answer: Callable[[ClientCommand], Awaitable[object]],
        fetch: Callable[[Fetch], Awaitable[bytes]],
    ) -> None:
        """Welcome the client and answer it until it leaves: commands in their order, pictures beside them."""
        self.send(welcome)
        for event in missed:
            self.send(event)
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self._pump())
            try:
                await self._read(tasks, answer, fetch)
            except (FrameError, OSError) as error:
                log.info("a client is let go: %s", error)
            finally:
                self.close()
                pump.cancel()

    async def _read(
        self,
        tasks: asyncio.TaskGroup,
        answer: Callable[[ClientCommand], Awaitable[object]],
        fetch: Callable[[Fetch], Awaitable[bytes]],
    ) -> None:
        while not self._gone:
            await self._room(READ_SIZE)
            frame = await read_frame(self._reader, MAX_REQUEST)
            if frame is None:
                return
            request = self._decode(frame)
            if request is None:
                continue
            if isinstance(request.command, Ping):
                self.send(Done(id=request.id, result=payload(None)))
            elif isinstance(request.command, Fetch):
                await self._open.acquire()
                tasks.create_task(self._counted(self._send_picture(request.id, request.command, fetch)))
            elif isinstance(request.command, LONG):
                await self._open.acquire()
                tasks.create_task(self._counted(self._send_reply(request, answer)))
            else:
                await self._send_reply(request, answer)

    async def _counted(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        finally:
            self._open.release()

    async def _send_reply(self, request: Request, answer: Callable[[ClientCommand], Awaitable[object]]) -> None:
        self.send(await _reply(request.id, answer(request.command)))

    def _decode(self, frame: bytes) -> Request | None:
        """The request in `frame`; one that cannot be understood is answered, not punished."""
        try:
            request = client_frames.decode(frame)
        except MALFORMED as error:
            try:
                number = msgspec.msgpack.decode(frame, type=_Numbered).id
            except MALFORMED:
                raise FrameError(f"not a request: {error}") from None
            self.send(Failed(id=number, problem=bad_request(f"The request is not possible: {error}.").problem))
            return None
        if not isinstance(request, Request):
            raise FrameError("a second greeting")
        return request

    async def _send_picture(self, number: int, command: Fetch, fetch: Callable[[Fetch], Awaitable[bytes]]) -> None:
        async with self._pictures:
            data = bytearray()

            async def fetched() -> None:
                data.extend(await fetch(command))

            reply = await _reply(number, fetched())
            for start in range(0, len(data), CHUNK):
                await self._room(SEND_SIZE)
                self.send(Chunk(id=number, data=bytes(data[start : start + CHUNK]), total=len(data)))
            self.send(reply)

    async def _room(self, size: int) -> None:
        """Wait until fewer than `size` bytes wait for the client, or it is gone."""
        while self._backlog_bytes > size and not self._gone:
            self._drained.clear()
            await self._drained.wait()

    async def _pump(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._backlog or self._preview:
                if self._backlog:
                    data = self._backlog.popleft()
                else:
                    assert self._preview is not None
                    data, self._preview = encode(self._preview), None
                    self._backlog_bytes += len(data)
                try:
                    self._writer.write(data)
                    await self._writer.drain()
                except OSError:
                    self.close()
                    return
                self._backlog_bytes -= len(data)
                self._drained.set()


class _Numbered(Struct):
    id: int


async def _reply(number: int, result: Awaitable[object]) -> Done | Failed:
    try:
        return Done(id=number, result=payload(await result))
    except LatenttyError as error:
        return Failed(id=number, problem=error.problem)
    except Exception as error:
        log.exception("a request failed")
        problem = Problem(
            code="internal",
            cause=f"{type(error).__name__} in the engine: {error}.",
            hint="latentty engine logs has the whole story.",
        )
        return Failed(id=number, problem=problem)
