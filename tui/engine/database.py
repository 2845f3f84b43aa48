"""The one SQLite file, its one connection and the one thread that uses it.

Exclusive locking before WAL needs no shared memory file, so a home folder on NFS works; and it keeps every other
process out, which SQLite before 3.51.3 needs to be safe from its WAL-reset bug. `synchronous=FULL` because a job is
acknowledged only when a power cut cannot lose it.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from tui.library.folders import sync_folder
from tui.protocol.problem import LatenttyError, Problem

T = TypeVar("T")

MIGRATIONS: Final = (
    """
    CREATE TABLE job (
        id        TEXT PRIMARY KEY,
        state     TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'interrupted', 'done', 'failed', 'cancelled')),
        position  REAL NOT NULL,
        attempts  INTEGER NOT NULL DEFAULT 0,
        submitted REAL NOT NULL,
        started   REAL,
        finished  REAL,
        problem   BLOB,
        notes     TEXT NOT NULL DEFAULT '',
        payload   BLOB NOT NULL
    ) STRICT;
    CREATE INDEX job_by_state ON job (state, position);
    CREATE TABLE picture (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id  TEXT NOT NULL REFERENCES job (id),
        number  INTEGER NOT NULL,
        path    TEXT NOT NULL,
        seed    INTEGER NOT NULL,
        width   INTEGER NOT NULL,
        height  INTEGER NOT NULL,
        created REAL NOT NULL,
        UNIQUE (job_id, number)
    ) STRICT;
    CREATE TABLE mode_state (
        model   TEXT NOT NULL,
        mode    TEXT NOT NULL,
        payload BLOB NOT NULL,
        updated REAL NOT NULL,
        PRIMARY KEY (model, mode)
    ) STRICT;
    """,
)
"""Each brings the schema from its index to the next number; `PRAGMA user_version` says how many have run."""


class Database:
    """Runs functions over the connection, one at a time, on its own thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file, make it when it is missing, and bring its schema up to date.

        Raises:
            LatenttyError: it is damaged, or a newer version of the program wrote it.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` inside one transaction: committed when it returns, undone when it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def close(self) -> None:
        """Finish what was asked for, then close the file."""
        if self._connection is not None:
            self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def _open(self) -> None:
        try:
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)
            connection = sqlite3.connect(self._path, isolation_level=None, cached_statements=256)
            connection.row_factory = sqlite3.Row
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
            self._migrate(connection)
            sync_folder(self._path.parent)  # or a power cut could bring the journal of the file's making back
        except (sqlite3.DatabaseError, OSError) as error:
            raise LatenttyError(
                Problem(
                    code="engine_unavailable",
                    cause=f"The queue in {self._path} cannot be opened: {error}.",
                    hint="Move the file away to begin with an empty queue; the pictures stay where they are.",
                )
            ) from None
        self._connection = connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise LatenttyError(
                Problem(
                    code="engine_unavailable",
                    cause=f"A newer version of Latentty wrote {self._path}.",
                    hint="Install that version again, or move the file away to begin with an empty queue.",
                )
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        assert self._connection is not None, "open() comes first"
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself may have undone it, as when the disk is full
                self._connection.execute("ROLLBACK")
            raise
        return result
