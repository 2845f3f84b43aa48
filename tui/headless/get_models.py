"""`latentty models get`: have the engine fetch a model, and watch it with a bar."""

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tui.client import EngineClient
from tui.headless.stopping import unless
from tui.library.hub_environment import told
from tui.library.identify import identify_file
from tui.library.paths import Paths, expanded
from tui.library.plain_text import plain
from tui.protocol.commands import CancelDownload, StartDownload
from tui.protocol.download import DownloadState
from tui.protocol.events import ClientEvent
from tui.protocol.frames import Preview
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot

STOPPED: Final = 130
"""Exit status after Ctrl+C, as a shell expects it."""

STOP_WITHIN: Final = 5.0
"""Seconds that an engine, or the next one, has to stop a download."""


def get_model(paths: Paths, source: str, to: Path | None, *, wait: bool = True) -> int:
    """Fetch what `source` stands for and print the paths of its weights; 130 when the user stops it.

    Raises:
        LatenttyError: it could not be fetched.
    """
    folder = str(expanded(to).absolute()) if to is not None else ""
    return asyncio.run(_Watched(paths).run(source, folder, wait=wait))


def _engine_ended() -> Problem:
    return Problem(
        code="engine_unavailable",
        cause="The engine ended before the model was there.",
        hint="The next engine goes on with it.",
    )


class _Watched:
    """One download, watched from its start to its end; the engine goes on with it when this process is lost."""

    def __init__(self, paths: Paths) -> None:
        self._client = EngineClient(paths, self)
        self._attached = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        """Ctrl+C, or a problem that no waiting solves."""
        self._problem: Problem | None = None
        self._interrupted = False
        self._asked = False
        """Whether an engine may have been told to fetch it."""
        self._console = Console(stderr=True, highlight=False)

    async def run(self, source: str, folder: str, *, wait: bool) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        staying = asyncio.create_task(self._client.run())
        try:
            command = StartDownload(source=source, folder=folder, environment=told(os.environ))
            fetched = await unless(self._stopped, self._fetch(command, wait=wait))
            return await self._stop(command) if fetched is None else fetched
        finally:
            staying.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _fetch(self, command: StartDownload, *, wait: bool) -> int:
        await self._attached.wait()
        former = self._downloads()
        self._asked = True
        state = msgspec.msgpack.decode(await self._client.request(command), type=DownloadState)
        if not wait:
            self._say(f"{state.source}: the engine fetches it to {state.folder}; latentty shows how far it is.")
            return 0
        return self._ended(await self._watch(state, former.get(state.id)))

    async def _stop(self, command: StartDownload) -> int:
        """Stop the download that `command` began; the exit status.

        Raises:
            LatenttyError: there is no engine that could do so, now or soon.
        """
        if not self._interrupted and self._problem is not None:
            raise LatenttyError(self._left_to_the_next_engine())
        if self._asked:
            try:
                async with asyncio.timeout(STOP_WITHIN):  # the answer to the first may have been on its way
                    state = msgspec.msgpack.decode(await self._client.request(command), type=DownloadState)
                    await self._client.request(CancelDownload(id=state.id))
            except TimeoutError:
                raise LatenttyError(self._left_to_the_next_engine()) from None
            self._say("Stopped. The same command goes on where it was.")
        return STOPPED

    def _left_to_the_next_engine(self) -> Problem:
        problem = self._problem or Problem(code="engine_unavailable", cause="No engine answers.")
        left = " The next engine goes on with what was asked for." if self._asked else ""
        return replace(problem, hint=f"{problem.hint}{left}".strip())

    def _downloads(self) -> dict[str, DownloadState]:
        return self._client.snapshot.downloads if self._client.snapshot is not None else {}

    async def _watch(self, state: DownloadState, former: DownloadState | None) -> DownloadState:
        """The download at its end; not at that of `former`, the last try to fetch the same."""
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        task = bar.add_task(plain(state.source)[:24], total=None)
        asked, waits = False, ""
        with ExitStack() as undo:
            while True:
                self._changed.clear()
                snapshot = self._client.snapshot
                known = self._downloads().get(state.id)
                state = known if known is not None and known is not former else state
                if state.title and not asked:
                    asked = True
                    licence = state.license or "see its page"
                    files = "1 file" if state.files == 1 else f"{state.files} files"
                    self._say(f"{state.title}: {files} to {state.folder}, licence: {licence}")
                    undo.enter_context(bar)
                if state.waiting not in ("", waits):
                    self._say(f"{state.waiting}.")
                waits = state.waiting
                label = plain(state.title)[:24] if state.phase != "checking" else "checking"
                bar.update(task, description=label, completed=state.done_bytes, total=state.total_bytes or None)
                if not state.open:
                    return state
                if snapshot is not None and snapshot.engine.stopping:
                    raise LatenttyError(_engine_ended())
                await self._changed.wait()

    def _ended(self, state: DownloadState) -> int:
        if state.phase == "cancelled":
            self._say("Stopped. The same command goes on where it was.")
            return STOPPED
        if state.problem is not None:
            raise LatenttyError(state.problem)
        for path in state.paths:
            print(plain(path))
            if (damage := identify_file(Path(path)).problem) is not None:
                self._say(f"latentty: {damage}")
        return 0

    def _say(self, text: str) -> None:
        self._console.print(plain(text), markup=False, soft_wrap=True)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._stopped.set()

    # ---- what the client tells ---------------------------------------------------------------------------------

    def engine_attached(self, snapshot: Snapshot) -> None:
        self._attached.set()
        self._changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        self._changed.set()

    def engine_preview(self, preview: Preview) -> None:
        pass

    def engine_detached(self, problem: Problem | None) -> None:
        if problem is not None:
            self._problem = problem
            self._stopped.set()
        self._changed.set()

    def engine_silent(self, problem: Problem | None) -> None:
        if problem is not None:
            self._say(str(problem))
