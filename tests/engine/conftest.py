"""An engine in this process, with a scripted worker."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.conftest import Attached
from tests.engine.scripted_home import Script
from tui.engine.daemon import Engine
from tui.engine.lock import EngineLock
from tui.library.paths import Paths
from tui.library.settings import load_settings


class Running:
    """A real engine with its socket and its database, whose worker is a script."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.script = Script()
        self.engine: Engine | None = None
        self._serving: asyncio.Task[None] | None = None
        self._clients: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.engine = Engine(
            self.paths, load_settings(self.paths), EngineLock(self.paths.lock_file), self.script.make_home
        )
        await self.engine.start()
        self._serving = asyncio.create_task(self.engine.run())

    async def attach(self) -> Attached:
        attached = Attached(self.paths)
        attached.client = type(attached.client)(self.paths, attached.watching, start=False)
        self._clients.append(asyncio.create_task(attached.client.run()))
        await attached.until(lambda: attached.client.snapshot is not None, 10)
        return attached

    async def ended(self, seconds: float = 10) -> None:
        assert self._serving is not None
        await asyncio.wait_for(asyncio.shield(self._serving), seconds)

    async def stop(self) -> None:
        if self.engine is not None and self._serving is not None and not self._serving.done():
            self.engine.stop()
            await self.ended()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)


@pytest.fixture
async def running(home: Paths, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setenv("LATENTTY_WATCH_MODELS", "false")
    running = Running(home)
    await running.start()
    yield running
    await running.stop()
