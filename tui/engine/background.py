"""Work beside the answers to clients."""

import asyncio
from collections.abc import Callable, Coroutine

from tui.protocol.events import ClientEvent, Warning
from tui.protocol.problem import LatenttyError


class Background:
    """What is under way that nobody waits for."""

    def __init__(self, tell: Callable[[ClientEvent], None]) -> None:
        self._tell = tell
        self._tasks: set[asyncio.Task[object]] = set()

    def begin(self, work: Coroutine[None, None, object]) -> asyncio.Task[object]:
        """Carry out `work` from now on; a failure is told to all clients."""

        async def guarded() -> None:
            try:
                await work
            except LatenttyError as error:
                self._tell(Warning(problem=error.problem))

        task: asyncio.Task[object] = asyncio.create_task(guarded())
        self._tasks.add(task)  # the loop itself holds a task weakly
        task.add_done_callback(self._tasks.discard)
        return task
