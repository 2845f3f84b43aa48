"""The unix socket: made for its owner alone, watched, and made again if it vanishes."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tui.library.folders import identity
from tui.protocol.peer import is_same_user
from tui.protocol.problem import LatenttyError

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at whether the socket is still there."""

RESERVED: Final = 128
"""Descriptors of this process that no client gets: the database, the worker, the log and the models need them."""

BACKLOG: Final = 32
"""Connections that are taken at a time, each with a descriptor, before the first of them is looked at."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Accepts the clients of one user. Whoever holds the engine's lock owns the socket's path."""

    def __init__(self, choose_path: Callable[[], Path], serve: Serve, on_bound: Callable[[Path], None]) -> None:
        self._choose_path = choose_path
        self._serve = serve
        self._on_bound = on_bound
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._identity: tuple[int, int] | None = None
        self._closed = False
        self._served: set[asyncio.Task[None]] = set()

    async def bind(self) -> None:
        """Listen at the path of the moment, in place of whatever lies there."""
        path = self._choose_path()
        with suppress(FileNotFoundError):
            path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(before)
        if self._server is not None:
            self._server.close()  # stops accepting; connections that it made go on
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, backlog=BACKLOG)
        self._path, self._identity = path, identity(path)
        self._on_bound(path)

    async def watch(self) -> None:
        """Bind again whenever the socket has vanished, as it does when a runtime folder is cleared."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            assert self._path is not None
            if not self._closed and identity(self._path) != self._identity:
                log.warning("the socket %s has vanished; listening again", self._path)
                try:
                    await self.bind()
                except (OSError, LatenttyError):
                    log.exception("there is no place for the socket now; the engine looks again")

    def close(self) -> None:
        """Stop accepting and remove the socket, for good."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        if self._path is not None and identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)

    async def ended(self) -> None:
        """Wait until every client that was let go is gone."""
        if self._served:
            await asyncio.wait(self._served, timeout=LOOK_EVERY)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_same_user(writer.get_extra_info("socket")):
            log.warning("a connection of another user was refused")
            writer.transport.abort()
            return
        if len(self._served) >= _most_connections():
            log.warning("there are %d connections; one more was refused", len(self._served))
            writer.transport.abort()
            return
        serving = asyncio.current_task()
        assert serving is not None
        self._served.add(serving)
        serving.add_done_callback(self._served.discard)
        try:
            await self._serve(reader, writer)
        finally:
            writer.transport.abort()


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - RESERVED, 1)
