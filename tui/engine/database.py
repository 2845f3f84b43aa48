"""The one SQLite file, its one connection and the one thread that uses it.

Exclusive locking before WAL needs no shared memory file, so a home folder on NFS works; and it keeps every other
process out, which SQLite before 3.51.3 needs to be safe from its WAL-reset bug. `synchronous=FULL` because a job is
acknowledged only when a power cut cannot lose it.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tui.library.folders import identity, make_folder, sync_folder
from tui.library.full_disk import is_full
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem

log = logging.getLogger(__name__)
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
    """
    ALTER TABLE job ADD COLUMN overtaken INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE flag (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    ALTER TABLE picture ADD COLUMN model TEXT NOT NULL DEFAULT '';
    ALTER TABLE picture ADD COLUMN mode TEXT NOT NULL DEFAULT '';
    ALTER TABLE picture ADD COLUMN favourite INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE picture ADD COLUMN trashed REAL;
    CREATE INDEX picture_by_trash ON picture (trashed, id);
    CREATE TABLE tag (
        picture_id INTEGER NOT NULL REFERENCES picture (id),
        name       TEXT NOT NULL,
        PRIMARY KEY (picture_id, name)
    ) STRICT, WITHOUT ROWID;
    CREATE VIRTUAL TABLE picture_text USING fts5 (
        prompt, negative, model, mode, tags, day, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
    );
    UPDATE picture SET
        model = (SELECT job_text(payload, number, 'model') FROM job WHERE job.id = job_id),
        mode = (SELECT job_text(payload, number, 'mode') FROM job WHERE job.id = job_id);
    INSERT INTO picture_text (rowid, prompt, negative, model, mode, tags, day)
        SELECT picture.id, job_text(payload, number, 'prompt'), job_text(payload, number, 'negative_prompt'),
            model, mode, '', date(created, 'unixepoch', 'localtime')
        FROM picture JOIN job ON job.id = job_id;
    """,
    """
    CREATE TABLE sweep (id TEXT PRIMARY KEY, created REAL NOT NULL, payload BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE library (
        path    TEXT PRIMARY KEY,
        stamp   TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE model_hash (
        path     TEXT PRIMARY KEY,
        stamp    TEXT NOT NULL,
        blake3   TEXT NOT NULL,
        sha256   TEXT NOT NULL,
        old_hash TEXT NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE download (id TEXT PRIMARY KEY, payload BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE last_models (id INTEGER PRIMARY KEY CHECK (id = 1), payload BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE draft (id INTEGER PRIMARY KEY CHECK (id = 1), payload BLOB NOT NULL) STRICT;
    """,
)
"""Each brings the schema from its index to the next number; `PRAGMA user_version` says how many have run."""


class Database:
    """Runs functions over the connection, one at a time, on its own thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    async def open(self) -> None:
        """Open the file, make it when it is missing, and bring its schema up to date.

        Raises:
            LatenttyError: it is damaged, or a newer version of the program wrote it.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` inside one transaction: committed when it returns, undone when it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def problem(self, error: sqlite3.Error | OSError) -> Problem:
        """Why the file cannot be used, and what to do. Only a damaged one is worth beginning anew for."""
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        number = getattr(error, "errno", None)
        if primary == sqlite3.SQLITE_FULL or is_full(number):
            hint = f"Free some space in {self._path.parent}; no job in it is lost."
        elif primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            hint = "Move the file away to begin with an empty queue; the pictures stay where they are."
        else:
            hint = "Make it readable and writable for you, and end whatever else has it open; no job in it is lost."
        return Problem(
            code="engine_unavailable", cause=f"The queue in {self._path} cannot be used: {error}.", hint=hint
        )

    def close(self) -> None:
        """Finish what was asked for, then close the file."""
        if self._connection is not None:
            self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def _open(self) -> None:
        try:
            connection = self._connect()
            self._exclude_others(connection)
            self._migrate(connection)
            sync_folder(self._path.parent)  # or a power cut could bring the journal of the file's making back
        except (sqlite3.DatabaseError, OSError) as error:
            raise LatenttyError(self.problem(error)) from None
        self._connection, self._identity = connection, identity(self._path)

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        self._path.chmod(0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, cached_statements=256)
        connection.row_factory = sqlite3.Row
        connection.create_function("job_text", 3, _job_text, deterministic=True)
        return connection

    def _exclude_others(self, connection: sqlite3.Connection) -> None:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    def _restore(self, former: sqlite3.Connection) -> sqlite3.Connection:
        """Write the file anew after someone has removed it: as long as it is open here, all of it can still be read.

        Raises:
            sqlite3.Error: it cannot be written, or another file has taken its place.
        """
        if self._path.exists():
            raise sqlite3.OperationalError(f"another file has taken the place of {self._path}")
        log.warning("%s was removed; it is written anew", self._path)
        try:
            make_folder(self._path.parent, 0o700)
            for left in ("-wal", "-journal"):  # of the former file
                self._path.with_name(self._path.name + left).unlink(missing_ok=True)
            connection = self._connect()
        except OSError as error:
            raise sqlite3.OperationalError(f"{self._path} was removed and cannot be made anew ({error})") from None
        try:
            former.backup(connection)
            self._exclude_others(connection)
            sync_folder(self._path.parent)
        except (sqlite3.Error, OSError) as error:
            connection.close()
            self._path.unlink(missing_ok=True)
            raise sqlite3.OperationalError(f"{self._path} was removed and cannot be written anew ({error})") from None
        former.close()
        self._connection, self._identity = connection, identity(self._path)
        return connection

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
        connection = self._connection
        assert connection is not None, "open() comes first"
        if identity(self._path) != self._identity:
            connection = self._restore(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself may have undone it, as when the disk is full
                connection.execute("ROLLBACK")
            raise
        return result


def _job_text(payload: bytes, index: int, name: str) -> str:
    """SQL's `job_text`: a text field of a stored job as its picture `index` is drawn."""
    return str(getattr(msgspec.msgpack.decode(payload, type=Job).picture(index), name))
