"""Downloads: each in a process of its own, told of as it goes, and gone on with by the next engine."""

import asyncio
import hashlib
import logging
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from tui.engine.database import Database
from tui.engine.fetch_process import FetchOrder
from tui.library.hub_environment import for_download
from tui.library.plain_text import plain
from tui.library.settings import Settings
from tui.protocol.download import DownloadState
from tui.protocol.events import ClientEvent, DownloadChanged, DownloadGone
from tui.protocol.problem import LatenttyError, Problem, bad_request

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""Downloads that run at a time; further ones wait for their turn."""

MOST: Final = 50
"""Downloads that are listed; of more, the oldest that are at their end leave."""

PATIENCE: Final = 5.0
"""Seconds that a process has to end by itself."""


class Downloads:
    """What is being fetched and what was."""

    def __init__(
        self,
        database: Database,
        settings: Callable[[], Settings],
        *,
        tell: Callable[[ClientEvent], None],
        on_done: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._settings = settings
        self._tell = tell
        self._on_done = on_done
        self._states: dict[str, DownloadState] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether anything is being fetched."""
        return bool(self._tasks)

    async def load(self) -> dict[str, DownloadState]:
        """What the last engine left; :meth:`resume` goes on with what was not at its end."""
        rows = await self._database.run(
            lambda connection: connection.execute("SELECT payload FROM download ORDER BY rowid").fetchall()
        )
        for row in rows:
            try:
                state = msgspec.msgpack.decode(row["payload"], type=DownloadState)
            except msgspec.MsgspecError as error:
                log.warning("a download of another version is not gone on with: %s", error)
            else:
                self._states[state.id] = state
        return dict(self._states)

    def resume(self) -> None:
        """Go on with what the last engine did not finish."""
        for state in self._states.values():
            if state.open:
                self._begin(state, {})

    async def start(self, source: str, folder: str, environment: Mapping[str, str]) -> DownloadState:
        """Fetch `source` into `folder`, or go on with it; how far it is.

        Raises:
            LatenttyError: `folder` is none that a model could be put into.
        """
        if not Path(folder).is_absolute() or "\0" in folder + source:
            raise bad_request(f"{folder!r} is no folder that a model could be put into.", "Give an absolute path.")
        number = hashlib.sha256(f"{source}\0{folder}".encode()).hexdigest()[:16]
        known = self._states.get(number)
        if known is not None and known.open and number in self._tasks:
            return known
        state = DownloadState(id=number, source=source, folder=folder)
        self._states.pop(number, None)  # it becomes the newest
        await self._change(state, keep=True)
        self._begin(state, environment)
        await self._forget_oldest()
        return state

    async def cancel(self, number: str) -> None:
        """Stop the download `number`; one that is at its end is listed no more.

        Raises:
            LatenttyError: there is none.
        """
        state = self._states.get(number)
        if state is None:
            raise LatenttyError(Problem(code="not_found", cause=f"There is no download {number}."))
        task = self._tasks.get(number)
        if not state.open or task is None:
            await self._forget(number)
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if self._states[number].open:
            await self._change(replace(self._states[number], phase="cancelled", rate=0.0, waiting=""), keep=True)

    async def stop(self) -> None:
        """End every process; the next engine goes on with them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, state: DownloadState, environment: Mapping[str, str]) -> None:
        task = asyncio.create_task(self._run(state, environment))
        self._tasks[state.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(state.id) if self._tasks.get(state.id) is task else None)

    async def _run(self, state: DownloadState, environment: Mapping[str, str]) -> None:
        try:
            async with self._slots:
                await self._fetch(state, for_download(os.environ, environment))
        except (LatenttyError, OSError) as error:
            problem = error.problem if isinstance(error, LatenttyError) else _no_process(error)
            await self._change(
                replace(self._states[state.id], phase="failed", problem=problem, rate=0.0, waiting=""), keep=True
            )
        except sqlite3.Error:
            log.exception("how far a download is cannot be kept")
        if self._states[state.id].phase == "done":
            await self._on_done()

    async def _fetch(self, state: DownloadState, environment: Mapping[str, str]) -> None:
        hosts = self._settings().download_hosts
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tui.engine.fetch_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        try:
            process.stdin.write(msgspec.json.encode(FetchOrder(state, hosts)) + b"\n")
            said = state
            while said.open and (line := await process.stdout.readline()):
                said = msgspec.json.decode(line, type=DownloadState)
                await self._change(said, keep=not said.open)
            if said.open:
                words = (await errors).decode(errors="replace").strip().splitlines()
                raise _ended(words[-1] if words else f"exit status {await process.wait()}")
        finally:
            errors.cancel()
            process.stdin.close()
            await _gone(process)

    async def _change(self, state: DownloadState, *, keep: bool) -> None:
        """`state` is so now; it is written down when `keep`."""
        self._states[state.id] = state
        if keep:
            row = (state.id, msgspec.msgpack.encode(state))
            await self._database.run(
                lambda connection: connection.execute("INSERT OR REPLACE INTO download VALUES (?, ?)", row)
            )
        self._tell(DownloadChanged(download=state))

    async def _forget(self, number: str) -> None:
        del self._states[number]
        await self._database.run(lambda connection: connection.execute("DELETE FROM download WHERE id = ?", (number,)))
        self._tell(DownloadGone(id=number))

    async def _forget_oldest(self) -> None:
        ended = [number for number, state in self._states.items() if not state.open]
        for number in ended[: max(len(self._states) - MOST, 0)]:
            await self._forget(number)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Return when `process` has ended; after a little patience, by force."""
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _ended(why: str) -> LatenttyError:
    return LatenttyError(
        Problem(code="internal", cause=f"The download ended ({plain(why)}).", hint="Start it again: it goes on.")
    )


def _no_process(error: OSError) -> Problem:
    return Problem(
        code="internal", cause=f"The download cannot be started: {error.strerror}.", hint="Start it again later."
    )
