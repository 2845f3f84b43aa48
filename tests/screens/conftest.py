"""The app under Textual's pilot, on a real engine in a home folder of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.events import Key
from textual.pilot import Pilot

from tests.engine.conftest import running as running  # a fixture for these tests too
from tests.screens.pressed import note_keys
from tui.app import LatenttyApp
from tui.library.paths import Paths
from tui.library.settings import load_settings
from tui.protocol.snapshot import Snapshot

note_keys()

_press = Pilot.press


async def _press_and_give(self: Pilot[int], *keys: str) -> None:
    """Textual's own, which knows nothing of keys that are held back."""
    await _press(self, *keys)
    while isinstance(self.app, LatenttyApp) and self.app.typed_ahead.holds_any:
        await self.pause(0.01)


Pilot.press = _press_and_give  # type: ignore[method-assign]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What was pressed is known at the end."""
    items.sort(key=lambda item: item.path.name == "test_pressed_keys.py")


OpenApp = Callable[..., AbstractAsyncContextManager[Pilot[int]]]


@pytest.fixture
def open_app(home: Paths) -> OpenApp:
    """Open the app at a size in columns and rows."""

    @asynccontextmanager
    async def open_at(columns: int = 120, rows: int = 36) -> AsyncIterator[Pilot[int]]:
        app = LatenttyApp(home, load_settings(home))
        async with app.run_test(size=(columns, rows)) as pilot:
            yield pilot

    return open_at


def snapshot_of(pilot: Pilot[int]) -> Snapshot | None:
    assert isinstance(pilot.app, LatenttyApp)
    return pilot.app._client.snapshot


async def until(pilot: Pilot[int], true: Callable[[], object], seconds: float = 60) -> None:
    """Let the app work until `true()` is."""
    async with asyncio.timeout(seconds):
        while not true():
            await pilot.pause(0.02)


async def type_text(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*("space" if letter == " " else letter for letter in text))


def press_at_once(pilot: Pilot[int], *keys: str) -> None:
    """Press keys as they come over a slow line: all before the first of them has done anything."""
    for key in keys:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))
