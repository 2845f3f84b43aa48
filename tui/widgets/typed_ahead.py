"""Keys that come at once, as they do over a slow line, are given one by one: each may move the focus for the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

from textual.app import App
from textual.events import Event, Key
from textual.message_pump import MessagePump
from textual.widgets import Input, TextArea
from textual.worker import Worker

LONGEST: Final = 0.5
"""Seconds that a key may wait for what the one before it does: nothing keeps keys for ever."""

DIALOGS: Final = frozenset({"choose", "palette", "theme", "mask", "recall"})
"""Groups of workers that show a dialog, or replace what is typed, once they have asked the engine."""

LOOK_EVERY: Final = 0.005
"""Seconds between two looks at whether the dialog is there."""

PASSES: Final = 2
"""A key's own message, and the message that this makes."""


class TypedAhead:
    """Gives events to the app, an event only once all that the one before has set off has happened."""

    def __init__(self, app: App[Any], give: Callable[[Event], Awaitable[None]]) -> None:
        """`give` is what an event is given to."""
        self._app = app
        self._give = give
        self._held: deque[Event] = deque()
        self._given = asyncio.Event()
        self._slow: WeakSet[Worker[Any]] = WeakSet()
        """Those that were waited for long enough."""
        self._is_busy = False
        """Whether the last event may still have effects."""

    @property
    def holds_any(self) -> bool:
        """Whether an event was not given yet."""
        return bool(self._held)

    async def take(self, event: Event) -> None:
        """Give `event` now, if nothing of those before it is under way; otherwise after that."""
        if self._is_busy:
            self._held.append(event)
            return
        self._is_busy = True
        await self._give(event)
        self._given.set()

    async def run(self) -> None:
        """Give what was held back, for as long as the app runs."""
        while True:
            await self._given.wait()
            self._given.clear()
            await self._settle()
            while self._held:
                event = self._held.popleft()
                await self._give(event)
                if not (self._held and self._is_text(event) and self._is_text(self._held[0])):
                    await self._settle()
            self._is_busy = False

    def _is_text(self, event: Event) -> bool:
        """Whether `event` is a letter for a text field, which leads nowhere: hundreds may come in one burst."""
        return isinstance(event, Key) and event.is_printable and isinstance(self._app.focused, Input | TextArea)

    async def _settle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                before: list[MessagePump] = []
                while self._app.is_running and before != (chain := self._chain()):
                    before = chain
                    for pump in chain * PASSES:
                        await _drained(pump)
                    while self._on_their_way():  # noqa: ASYNC110 - workers set no event
                        await asyncio.sleep(LOOK_EVERY)
                return
        self._slow.update(self._on_their_way())

    def _chain(self) -> list[MessagePump]:
        """What messages about a key go through: what has the focus, and what it is in, up to the app."""
        return list((self._app.focused or self._app.screen).ancestors_with_self)

    def _on_their_way(self) -> list[Worker[Any]]:
        """Workers whose dialog is not seen yet, or no longer."""
        if len(self._app.screen_stack) > 1:
            return []
        return [
            one for one in self._app.workers if one.group in DIALOGS and not one.is_finished and one not in self._slow
        ]


async def _drained(pump: MessagePump) -> None:
    """Return once `pump` has done what was in its queue."""
    done = asyncio.Event()
    if pump.call_later(done.set):
        await done.wait()
