"""The app under Textual's pilot, on a real engine in a home folder of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.pilot import Pilot

from tests.engine.conftest import running as running  # a fixture for these tests too
from tests.screens.pressed import note_keys
from tui.app import LatenttyApp
from tui.library.paths import Paths
from tui.library.settings import load_settings
from tui.protocol.snapshot import Snapshot

note_keys()


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
