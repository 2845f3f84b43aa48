"""The library: every model file that was found, kept in the database, searched for and hashed in the background."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from watchfiles import awatch

from tui.engine.database import Database
from tui.library.addons import bundled_addons
from tui.library.hashes import Hashes, hash_file
from tui.library.listing import told_path
from tui.library.places import Place
from tui.library.scanning import Candidate, candidates, changed, look_at
from tui.protocol.commands import GetLibrary
from tui.protocol.events import ClientEvent, LibraryScan
from tui.protocol.library import LibraryPage, ModelFile

log = logging.getLogger(__name__)

TELL_EVERY: Final = 0.5
"""Seconds of looking after which what was found is saved and told of."""

AT_ONCE: Final = 4
"""Files that are looked into at the same time: on slow and on network disks each is mostly waited for."""

QUIET_FOR: Final = 3000
"""Milliseconds for which a folder must be left alone before its change is looked at: copies take their time."""

LOOK_AGAIN: Final = 600.0
"""Seconds after which the folders are looked through anyway: network disks tell nothing of their changes."""

UNTOLD_AFTER: Final = 30.0
"""Seconds after which they are, where the system cannot tell of changes: more where a search takes long."""

UNTOLD_SHARE: Final = 20
"""Times as long as the last search took, at least, nothing is looked through then."""

BUSY_WAIT: Final = 5.0


class _Entry(Struct, frozen=True):
    stamp: str
    files: list[ModelFile]


class Library:
    """What lies in the model folders. One search at a time; the loop is never blocked by one."""

    def __init__(
        self,
        database: Database,
        find_places: Callable[[], list[Place]],
        out_of_reach: Callable[[], list[str]],
        *,
        tell: Callable[[ClientEvent], None],
        on_change: Callable[[list[ModelFile]], Awaitable[None]],
        is_busy: Callable[[], bool],
    ) -> None:
        self._database = database
        self._find_places = find_places
        self._out_of_reach = out_of_reach
        self._tell = tell
        self._on_change = on_change
        self._is_busy = is_busy
        self._entries: dict[str, _Entry] = {}
        self._hashes: dict[str, tuple[str, Hashes]] = {}
        self._stop = threading.Event()
        self._searching = asyncio.Lock()
        self._searched: list[str] = []
        """The folders of the last search that came to its end."""
        self.searched = asyncio.Event()
        """The first search has come to its end, whatever that was."""
        self._met = 0
        """Candidates that the search has met so far."""
        self._took = 0.0
        """Seconds that the last search took."""
        self._untold = False
        """Whether the system could not tell of changes."""
        self.state = LibraryScan(running=False)

    @property
    def files(self) -> list[ModelFile]:
        """Every file, by name."""
        found = (self._hashed(file) for entry in self._entries.values() for file in entry.files)
        return sorted(found, key=lambda file: (file.name.lower(), file.path))

    async def load(self) -> list[ModelFile]:
        """What the last engine had found."""

        def work(connection: sqlite3.Connection) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
            return (
                connection.execute("SELECT * FROM library").fetchall(),
                connection.execute("SELECT * FROM model_hash").fetchall(),
            )

        entries, hashes = await self._database.run(work)
        for row in entries:
            try:
                files = msgspec.msgpack.decode(row["payload"], type=list[ModelFile])
            except msgspec.MsgspecError:
                continue  # of another version: the next search looks at it again
            self._entries[row["path"]] = _Entry(row["stamp"], files)
        for row in hashes:
            told = Hashes(blake3=row["blake3"], sha256=row["sha256"], old_hash=row["old_hash"])
            self._hashes[row["path"]] = (row["stamp"], told)
        self.state = LibraryScan(running=False, counts=self._counts())
        return self.files

    def page(self, asked: GetLibrary) -> LibraryPage:
        """The files that `asked` describes, those that come with the program last."""
        text = asked.text.lower()
        fitting = [file for file in (*self.files, *bundled_addons()) if _fits(file, asked.family, text)]
        counts: dict[str, int] = {}
        for file in fitting:
            counts[file.kind] = counts.get(file.kind, 0) + 1
        shown = [file for file in fitting if not asked.kinds or file.kind in asked.kinds]
        files = shown[asked.offset : asked.offset + asked.limit]
        return LibraryPage(total=len(shown), counts=counts, files=files, folders=self._searched)

    # ---- searching -----------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop the search that runs."""
        self._stop.set()

    async def scan(self) -> None:
        """Bring the library up to date; only new and changed files are opened. Waits for a search that runs."""
        async with self._searching:
            self._stop.clear()
            begun = time.monotonic()
            try:
                await self._scan()
            finally:
                self._took = time.monotonic() - begun
                self.searched.set()
                if self.state.running:
                    self._report(replace(self.state, running=False, cancelled=True))

    async def _scan(self) -> None:
        self._report(LibraryScan(running=True, counts=self._counts()))
        where = await asyncio.to_thread(self._find_places)
        found = await self._listed(where)
        todo = changed(found, {path: entry.stamp for path, entry in self._entries.items()})
        missed = await asyncio.to_thread(self._out_of_reach)
        self._report(replace(self.state, found=len(found), changed=len(todo), out_of_reach=missed))
        looked = 0
        while looked < len(todo) and not self._stop.is_set():
            batch = await asyncio.to_thread(self._look, todo[looked:])
            looked += len(batch)
            await self._save(batch, [])
            self._report(replace(self.state, looked=looked, counts=self._counts()))
        cancelled = self._stop.is_set()
        gone = [] if cancelled else [path for path in self._entries if path not in found]
        await self._save({}, gone)
        if not cancelled:
            self._searched = [told_path(place.path) for place in where]
        if todo or gone or not self.searched.is_set():
            await self._on_change(self.files)
        self._report(replace(self.state, running=False, cancelled=cancelled, counts=self._counts()))

    async def _listed(self, where: list[Place]) -> dict[str, Candidate]:
        """What :meth:`_list` finds, with its number told meanwhile."""
        self._met = 0
        listing = asyncio.create_task(asyncio.to_thread(self._list, where))
        while not (await asyncio.wait({listing}, timeout=TELL_EVERY))[0]:
            self._report(replace(self.state, found=self._met))
        return listing.result()

    def _list(self, where: list[Place]) -> dict[str, Candidate]:
        found: dict[str, Candidate] = {}
        for candidate in candidates(where):
            if self._stop.is_set():
                break
            found[candidate.told] = candidate
            self._met = len(found)
        return found

    def _look(self, todo: list[Candidate]) -> dict[str, _Entry]:
        """What the first of `todo` are, as many as can be looked into until it is time to tell."""
        looked: dict[str, _Entry] = {}
        end = time.monotonic() + TELL_EVERY
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(todo), AT_ONCE):
                if self._stop.is_set() or (start and time.monotonic() > end):
                    break
                few = todo[start : start + AT_ONCE]
                for candidate, files in zip(few, pool.map(look_at, few), strict=True):
                    looked[candidate.told] = _Entry(candidate.stamp, files)
        return looked

    async def _save(self, entries: dict[str, _Entry], gone: list[str]) -> None:
        rows = [(path, one.stamp, msgspec.msgpack.encode(one.files)) for path, one in entries.items()]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO library (path, stamp, payload) VALUES (?, ?, ?)", rows)
            connection.executemany("DELETE FROM library WHERE path = ?", [(path,) for path in gone])

        if rows or gone:
            await self._database.run(work)
        kept = {path: one for path, one in self._entries.items() if path not in entries}
        for path in gone:
            del kept[path]
        self._entries = kept | entries  # anew, for other threads may be reading the former one

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for entry in self._entries.values():
            for file in entry.files:
                counts[file.kind] = counts.get(file.kind, 0) + 1
        return dict(sorted(counts.items()))

    def _report(self, state: LibraryScan) -> None:
        self.state = state
        self._tell(state)

    # ---- in the background ---------------------------------------------------------------------------------------

    async def watch(self, *, hashes: bool) -> None:
        """Search now and whenever a folder changes, and hash in between, until cancelled."""
        try:
            while True:
                try:
                    await self.scan()
                    if hashes:
                        await self._hash_new()
                except (OSError, sqlite3.Error):
                    log.exception("the model folders cannot be looked through")
                await self._change()
        finally:
            self._stop.set()

    async def _change(self) -> None:
        """Return when a folder has changed, or after a while."""
        folders = [place.path for place in await asyncio.to_thread(self._find_places)]
        try:
            async with asyncio.timeout(LOOK_AGAIN):
                if not folders:
                    await asyncio.Event().wait()
                async with aclosing(awatch(*folders, debounce=QUIET_FOR, step=500, rust_timeout=1000)) as changes:
                    await anext(changes)
        except TimeoutError:
            return
        # such as a limit of the system on watches, or a name that is no text
        except (OSError, RuntimeError, ExceptionGroup) as error:
            if not self._untold:
                log.warning("changes of the model folders are not told (%s); they are looked for now and then", error)
            self._untold = True
            await asyncio.sleep(min(max(UNTOLD_AFTER, UNTOLD_SHARE * self._took), LOOK_AGAIN))

    async def _hash_new(self) -> None:
        for file in self.files:
            if file.sha256 or file.form == "folder" or self._stop.is_set():
                continue
            while self._is_busy():  # noqa: ASYNC110 - work tells nobody of its end
                await asyncio.sleep(BUSY_WAIT)
            try:
                told = await asyncio.to_thread(hash_file, Path(file.path), self._may_read)
            except FileNotFoundError:
                continue  # gone, as all of a disk is at once; the next search tells
            except OSError as error:
                log.info("%s cannot be hashed: %s", file.path, error)
                continue
            if told is not None:
                await self._save_hashes(file, told)

    def _may_read(self) -> bool:
        return not self._stop.is_set() and not self._is_busy()

    async def _save_hashes(self, file: ModelFile, told: Hashes) -> None:
        stamp = _stamp(file)
        row = (file.path, stamp, told.blake3, told.sha256, told.old_hash)
        await self._database.run(
            lambda connection: connection.execute("INSERT OR REPLACE INTO model_hash VALUES (?, ?, ?, ?, ?)", row)
        )
        self._hashes[file.path] = (stamp, told)

    def _hashed(self, file: ModelFile) -> ModelFile:
        stamp, told = self._hashes.get(file.path, ("", None))
        if told is None or stamp != _stamp(file):
            return file
        return replace(file, blake3=told.blake3, sha256=told.sha256, old_hash=told.old_hash)


def _stamp(file: ModelFile) -> str:
    return f"{file.bytes}:{file.modified!r}"


def _fits(file: ModelFile, family: str, text: str) -> bool:
    if family and file.family != family:
        return False
    return not text or any(text in told.lower() for told in (file.name, file.title, file.base, *file.trigger_words))
