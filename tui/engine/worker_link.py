"""The engine's end of one worker: orders out, one reply each, events and previews in."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tui.engine.home import Home, WorkerLost
from tui.protocol.commands import Done, Failed, WorkerCommand
from tui.protocol.events import WorkerEvent
from tui.protocol.frames import Order, Preview, Told
from tui.protocol.pending import PendingReplies

log = logging.getLogger(__name__)


class WorkerLink:
    """Speaks with a worker from its start to its loss. Events arrive in order, each handled before the next."""

    def __init__(
        self,
        home: Home,
        on_event: Callable[[WorkerEvent], Awaitable[None]],
        on_preview: Callable[[Preview], None],
    ) -> None:
        self._home = home
        self._on_event = on_event
        self._on_preview = on_preview
        self._pending = PendingReplies()
        self._listening: asyncio.Task[None] | None = None
        self.lost: str | None = None
        """Why the worker is gone; None while it lives."""
        self.let_go = False
        """Whether we ended it ourselves."""
        self.heard = time.monotonic()
        """When it last said anything."""

    async def start(self) -> None:
        """Start the worker and listen to it.

        Raises:
            OSError: no process can be made.
        """
        await self._home.start()
        self._listening = asyncio.create_task(self._listen())

    async def request(self, command: WorkerCommand) -> Done | Failed:
        """The reply to `command`, after every event that the worker told before it.

        Raises:
            WorkerLost: the worker is gone.
        """
        if self.lost is not None:
            raise WorkerLost(self.lost)
        number, reply = self._pending.add()
        await self._home.send(Order(id=number, command=command))
        return await reply

    async def end(self) -> None:
        """Let the worker go and wait until it is gone."""
        self.let_go = True
        await self._home.end()
        await self.gone()

    async def gone(self) -> None:
        """Wait until the worker is gone."""
        if self._listening is not None:
            await asyncio.shield(self._listening)

    def kill(self) -> None:
        """End the worker now; what waits for it learns that it is lost."""
        self.let_go = True
        self._home.kill()

    async def _listen(self) -> None:
        try:
            async for frame in self._home.frames():
                self.heard = time.monotonic()
                match frame:
                    case Done() | Failed():
                        self._pending.resolve(frame)
                    case Told(event=event):
                        await self._on_event(event)
                    case Preview():
                        self._on_preview(frame)
        except WorkerLost as lost:
            self._end_with(lost)
        except Exception:
            log.exception("what the worker told could not be taken in")
            self._home.kill()
            self._end_with(WorkerLost("the engine could not take in what it told"))

    def _end_with(self, lost: WorkerLost) -> None:
        self.lost = str(lost) or "it ended"
        self._pending.fail(lost)
