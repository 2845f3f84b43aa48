"""Requests that wait for their one reply."""

import asyncio
from collections.abc import Iterator

from tui.protocol.commands import Done, Failed


class PendingReplies:
    """Numbers requests and gives each reply to whoever waits for it."""

    def __init__(self) -> None:
        self._last = 0
        self._waiting: dict[int, asyncio.Future[Done | Failed]] = {}

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._waiting))

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self) -> tuple[int, asyncio.Future[Done | Failed]]:
        """A number for a new request, and the future of its reply."""
        self._last += 1
        number = self._last
        future: asyncio.Future[Done | Failed] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        future.add_done_callback(lambda _: self._waiting.pop(number, None))
        return number, future

    def resolve(self, reply: Done | Failed) -> None:
        """Hand `reply` over; one that nobody waits for any more is dropped."""
        future = self._waiting.get(reply.id)
        if future is not None and not future.done():
            future.set_result(reply)

    def fail(self, error: Exception) -> None:
        """End every wait with `error`."""
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(error)
