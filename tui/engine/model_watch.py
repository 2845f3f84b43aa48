"""Looking after the folders that hold models: at the start, when they change, and when others are named."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Final

from tui.engine.background import Background
from tui.engine.kept_value import KeptValue
from tui.engine.library import Library
from tui.engine.model_index import ModelIndex
from tui.library.settings import Settings
from tui.protocol.events import ClientEvent, ModelsFound
from tui.protocol.library import ModelFile

log = logging.getLogger(__name__)

LOOK_FOR: Final = 10.0
"""Seconds that a job waits for a search of the folders when it names what the library does not have."""


class ModelWatch:
    """Keeps the models that can be drawn with up to date with the library, and the library with the settings."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        models: ModelIndex,
        library: Library,
        last: KeptValue[ModelsFound],
        tell: Callable[[ClientEvent], None],
        background: Background,
    ) -> None:
        self._settings = settings
        self._models = models
        self._library = library
        self._last = last
        self._tell = tell
        self._background = background
        self._places_changed = asyncio.Event()

    async def first_look(self) -> None:
        """Replace what the last engine found by what is there."""
        try:
            if self._settings().watch_models:
                await self._library.searched.wait()
            if not self._models.looked.is_set():
                await self.changed(self._library.files)
        except (OSError, sqlite3.Error):
            log.exception("what lies on the disk cannot be looked through")
        finally:
            self._models.looked.set()

    async def changed(self, files: list[ModelFile]) -> None:
        """The library has changed: the models that can be drawn with are looked at anew."""
        if not await self._models.look(files):
            return
        self._tell(self._models.found)
        try:
            await self._last.save(self._models.found)
        except sqlite3.Error:  # the next engine begins with what was saved before
            log.exception("the models that were found cannot be remembered")

    async def watch(self) -> None:
        """Look after the model folders, as long and as far as the settings say."""
        while True:
            self._places_changed.clear()
            changed = asyncio.create_task(self._places_changed.wait())
            tasks: set[asyncio.Task[object]] = {changed}
            if self._settings().watch_models:
                tasks.add(asyncio.create_task(self._library.watch(hashes=self._settings().hash_models)))
            try:
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in ended - {changed}:
                task.result()

    async def look_elsewhere(self) -> None:
        """Find the models of other folders: first what lies at hand, then all the rest."""
        self._models.folders = self._settings().models()
        await self.changed(self._library.files)
        self._places_changed.set()
        if not self._settings().watch_models:
            await self._library.scan()

    async def look_again(self) -> None:
        """Bring the library up to date, or as far as it comes in the time that a client can wait."""
        await asyncio.wait({self._background.begin(self._library.scan())}, timeout=LOOK_FOR)
