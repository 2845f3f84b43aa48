"""`latentty models get`: have the engine fetch a model, and watch it with a bar."""

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tui.client import EngineClient
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
        self._changed = asyncio.Event()
        self._stopped = False
        self._problem: Problem | None = None
        self._console = Console(stderr=True, highlight=False)

    async def run(self, source: str, folder: str, *, wait: bool) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        staying = asyncio.create_task(self._client.run())
        try:
            await self._until_attached()
            if self._stopped:
                return STOPPED
            command = StartDownload(source=source, folder=folder, environment=told(os.environ))
            former = self._downloads()
            state = msgspec.msgpack.decode(await self._client.request(command), type=DownloadState)
            if not wait:
                self._say(f"{state.source}: the engine fetches it to {state.folder}; latentty shows how far it is.")
                return 0
            return self._ended(await self._watch(state, former.get(state.id)))
        finally:
            staying.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

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
        asked = False
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
                label = plain(state.title)[:24] if state.phase != "checking" else "checking"
                bar.update(task, description=label, completed=state.done_bytes, total=state.total_bytes or None)
                if not state.open:
                    return state
                if snapshot is not None and snapshot.engine.stopping:
                    raise LatenttyError(_engine_ended())
                if self._stopped:
                    await self._client.request(CancelDownload(id=state.id))
                    self._stopped = False
                    continue
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

    def _stop(self) -> None:
        self._stopped = True
        self._changed.set()

    async def _until_attached(self) -> None:
        while self._client.snapshot is None and not self._stopped:
            self._changed.clear()
            if self._problem is not None:
                raise LatenttyError(self._problem)
            await self._changed.wait()

    # ---- what the client tells ---------------------------------------------------------------------------------

    def engine_attached(self, snapshot: Snapshot) -> None:
        self._changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        self._changed.set()

    def engine_preview(self, preview: Preview) -> None:
        pass

    def engine_detached(self, problem: Problem | None) -> None:
        self._problem = problem
        self._changed.set()
