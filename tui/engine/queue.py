"""The durable queue: every change is on the disk before anyone is told of it."""

import sqlite3
import time
from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import Struct

from tui.engine.database import Database
from tui.engine.picture_text import describe
from tui.engine.rows import pack, picture_of, record_of
from tui.protocol.events import JobRecord, Picture, SavedFile
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.protocol.prompts import PastPrompt

MAX_ATTEMPTS: Final = 2
"""A job whose process died under it this often, without saving a picture in between, is set aside."""

MAX_OVERTAKEN: Final = 8
"""How often a waiting job lets a younger one pass whose model is on the device already."""

LOOK_AHEAD: Final = 64
"""Waiting jobs among which one with such a model is looked for."""

_RECORD = """
    SELECT job.*, (SELECT count(*) FROM picture WHERE picture.job_id = job.id) AS saved FROM job
"""
_NEXT = """
    SELECT id, state, overtaken, payload FROM job WHERE state IN ('interrupted', 'waiting')
    ORDER BY state = 'waiting', position LIMIT ?
"""


class _Written(Struct):
    """The part of a job that was written by hand."""

    prompt: str = ""
    negative_prompt: str = ""
    prompt_template: str = ""
    negative_template: str = ""


class Queue:
    """The jobs and the pictures they became. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, job: Job) -> tuple[JobRecord, bool]:
        """Store `job`; the record, and whether it is new (the same id twice is not)."""

        def work(connection: sqlite3.Connection) -> tuple[JobRecord, bool]:
            added = connection.execute(
                "INSERT INTO job (id, state, position, submitted, payload)"
                " VALUES (?, 'waiting', (SELECT coalesce(max(position), 0) + 1 FROM job), ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                (job.id, time.time(), msgspec.msgpack.encode(job)),
            ).rowcount
            return _get(connection, job.id), added == 1

        return await self._database.run(work)

    async def get(self, job_id: str) -> JobRecord:
        """One job.

        Raises:
            LatenttyError: there is none with that id.
        """
        return await self._database.run(lambda connection: _get(connection, job_id))

    async def next(self, warm: Collection[str] = ()) -> JobRecord | None:
        """The job that :meth:`claim` would take; while one runs, the one that follows it."""

        def work(connection: sqlite3.Connection) -> JobRecord | None:
            found = _pick(connection, warm)
            return _get(connection, found[-1]) if found else None

        return await self._database.run(work)

    async def prompts(self, limit: int) -> list[PastPrompt]:
        """The prompts of the last jobs as they were written, newest first, each once, at most `limit`."""

        def work(connection: sqlite3.Connection) -> list[PastPrompt]:
            found: dict[PastPrompt, None] = {}
            for row in connection.execute("SELECT payload FROM job ORDER BY submitted DESC"):
                job = msgspec.msgpack.decode(row["payload"], type=_Written)
                past = PastPrompt(
                    prompt=job.prompt_template or job.prompt,
                    negative_prompt=job.negative_template or job.negative_prompt,
                )
                if past.prompt:
                    found.setdefault(past)
                if len(found) >= limit:
                    break
            return list(found)

        return await self._database.run(work)

    async def claim(self, warm: Collection[str] = ()) -> JobRecord | None:
        """Take the next job: it is running now, and one attempt is spent.

        Interrupted ones go first, then the oldest; but one whose model is among `warm`, the names of the models on the
        device, may pass others whose model is not, none of them more than :data:`MAX_OVERTAKEN` times.
        """

        def work(connection: sqlite3.Connection) -> JobRecord | None:
            found = _pick(connection, warm)
            if not found:
                return None
            *passed, taken = found
            connection.execute(
                "UPDATE job SET state = 'running', attempts = attempts + 1, started = ?, problem = NULL WHERE id = ?",
                (time.time(), taken),
            )
            if passed:
                connection.executemany(
                    "UPDATE job SET overtaken = overtaken + 1 WHERE id = ?", [(one,) for one in passed]
                )
                _note(connection, taken, _taken_early(len(passed)))
            return _get(connection, taken)

        return await self._database.run(work)

    async def reorder(self, job_id: str, before: str) -> JobRecord:
        """Put a waiting job right before another, or last; the user's order stands: no job passes it any more.

        Raises:
            LatenttyError: one of them does not wait.
        """

        def work(connection: sqlite3.Connection) -> JobRecord:
            order = [
                row["id"] for row in connection.execute("SELECT id FROM job WHERE state = 'waiting' ORDER BY position")
            ]
            for one in (job_id, before) if before else (job_id,):
                if one not in order:
                    _get(connection, one)
                    raise bad_request(f"The job {one} does not wait any more.", "Only waiting jobs can be moved.")
            if job_id != before:
                order.remove(job_id)
                order.insert(order.index(before) if before else len(order), job_id)
            places = connection.execute("SELECT position FROM job WHERE state = 'waiting' ORDER BY position").fetchall()
            connection.executemany(
                "UPDATE job SET position = ? WHERE id = ?",
                [(place["position"], one) for place, one in zip(places, order, strict=True)],
            )
            connection.execute("UPDATE job SET overtaken = ? WHERE id = ?", (MAX_OVERTAKEN, job_id))
            return _get(connection, job_id)

        return await self._database.run(work)

    async def end_waiting(self) -> list[JobRecord]:
        """Every job that waits is cancelled; those that were."""

        def work(connection: sqlite3.Connection) -> list[JobRecord]:
            ended = connection.execute(
                "UPDATE job SET state = 'cancelled', finished = ? WHERE state IN ('waiting', 'interrupted')"
                " RETURNING id",
                (time.time(),),
            ).fetchall()
            return [_get(connection, row["id"]) for row in ended]

        return await self._database.run(work)

    async def set_paused(self, *, paused: bool) -> None:
        """Remember whether jobs are started."""
        await self._database.run(
            lambda connection: connection.execute("INSERT OR REPLACE INTO flag VALUES ('paused', ?)", (int(paused),))
        )

    async def paused(self) -> bool:
        """Whether no job shall be started."""

        def work(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT value FROM flag WHERE name = 'paused'").fetchone()
            return row is not None and bool(row["value"])

        return await self._database.run(work)

    async def save(self, file: SavedFile) -> tuple[JobRecord, Picture | None]:
        """Enter a picture; with the last one its job is done, in the same transaction.

        The picture is None when it was entered before: a second attempt found the first one's file.
        """

        def work(connection: sqlite3.Connection) -> tuple[JobRecord, Picture | None]:
            now = time.time()
            added = connection.execute(
                "INSERT INTO picture (job_id, number, path, seed, width, height, created) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (job_id, number) DO NOTHING",
                (file.job_id, file.index, file.path, file.seed, file.width, file.height, now),
            ).rowcount
            connection.execute("UPDATE job SET attempts = 1 WHERE id = ? AND state = 'running'", (file.job_id,))
            record = _get(connection, file.job_id)
            if added:
                describe(connection, record.job, file.index)
            if record.saved >= record.job.count:
                connection.execute(
                    "UPDATE job SET state = 'done', finished = ?, problem = NULL WHERE id = ?", (now, file.job_id)
                )
            picture = connection.execute(
                "SELECT * FROM picture WHERE job_id = ? AND number = ?", (file.job_id, file.index)
            ).fetchone()
            return _get(connection, file.job_id), picture_of(picture) if added else None

        return await self._database.run(work)

    async def saved_numbers(self, job_id: str) -> set[int]:
        """Which of a job's pictures, from 0, are saved."""

        def work(connection: sqlite3.Connection) -> set[int]:
            rows = connection.execute("SELECT number FROM picture WHERE job_id = ?", (job_id,))
            return {row["number"] for row in rows}

        return await self._database.run(work)

    async def end(self, job_id: str, state: str, problem: Problem | None = None) -> JobRecord:
        """An open job ends as `state`, "failed" or "cancelled"; one that has ended stays as it is."""

        def work(connection: sqlite3.Connection) -> JobRecord:
            connection.execute(
                "UPDATE job SET state = ?, finished = ?, problem = ? WHERE id = ?"
                " AND state IN ('waiting', 'running', 'interrupted')",
                (state, time.time(), pack(problem), job_id),
            )
            return _get(connection, job_id)

        return await self._database.run(work)

    async def interrupt(self, job_id: str, problem: Problem) -> JobRecord:
        """The process died under a running job: it runs once more, or is set aside with `problem`."""

        def work(connection: sqlite3.Connection) -> JobRecord:
            _interrupt(connection, problem, "id = ?", job_id)
            return _get(connection, job_id)

        return await self._database.run(work)

    async def give_back(self, job_id: str) -> JobRecord:
        """A running job stopped through no fault of its own: it waits at the front, and no attempt is spent."""

        def work(connection: sqlite3.Connection) -> JobRecord:
            connection.execute(
                "UPDATE job SET state = 'interrupted', attempts = max(attempts - 1, 0) WHERE id = ?"
                " AND state = 'running'",
                (job_id,),
            )
            return _get(connection, job_id)

        return await self._database.run(work)

    async def note(self, job_id: str, text: str) -> None:
        """Keep with the job what had to be done so that it could run."""
        await self._database.run(lambda connection: _note(connection, job_id, text))

    async def retry(self, job_id: str) -> JobRecord:
        """A failed or cancelled job waits again, with its saved pictures kept.

        Raises:
            LatenttyError: there is none with that id.
        """

        def work(connection: sqlite3.Connection) -> JobRecord:
            connection.execute(
                "UPDATE job SET state = 'waiting', attempts = 0, problem = NULL, notes = '', overtaken = 0,"
                " finished = NULL, started = NULL, position = (SELECT max(position) + 1 FROM job)"
                " WHERE id = ? AND state IN ('failed', 'cancelled')",
                (job_id,),
            )
            return _get(connection, job_id)

        return await self._database.run(work)

    async def recover(self, problem: Problem) -> None:
        """The last engine died: what was running is interrupted, or set aside. Only when the lock is held."""
        await self._database.run(lambda connection: _interrupt(connection, problem, "TRUE"))

    async def open_and_recent(self, recent: int) -> list[JobRecord]:
        """Open jobs in the order in which they run, after the last `recent` ended ones, oldest first."""

        def work(connection: sqlite3.Connection) -> list[JobRecord]:
            ended = connection.execute(
                f"{_RECORD} WHERE state IN ('done', 'failed', 'cancelled') ORDER BY finished DESC LIMIT ?", (recent,)
            ).fetchall()
            open_ones = connection.execute(
                f"{_RECORD} WHERE state IN ('waiting', 'running', 'interrupted') ORDER BY state = 'waiting', position"
            ).fetchall()
            return [record_of(row) for row in (*reversed(ended), *open_ones)]

        return await self._database.run(work)

    async def last_model(self) -> str | None:
        """The model of the job that started last."""

        def work(connection: sqlite3.Connection) -> str | None:
            query = f"{_RECORD} WHERE started IS NOT NULL ORDER BY started DESC LIMIT 1"
            row = connection.execute(query).fetchone()
            return None if row is None else record_of(row).job.model

        return await self._database.run(work)

    async def has_work(self) -> bool:
        """Whether any job waits or runs."""

        def work(connection: sqlite3.Connection) -> bool:
            query = "SELECT EXISTS (SELECT 1 FROM job WHERE state IN ('waiting', 'running', 'interrupted'))"
            return bool(connection.execute(query).fetchone()[0])

        return await self._database.run(work)


def _pick(connection: sqlite3.Connection, warm: Collection[str]) -> list[str]:
    """The ids of the job to take, last, and of those that it passes."""
    rows = connection.execute(_NEXT, (LOOK_AHEAD if warm else 1,)).fetchall()
    for place, row in enumerate(rows):
        if row["state"] == "interrupted" or msgspec.msgpack.decode(row["payload"], type=Job).model in warm:
            return [one["id"] for one in rows[: place + 1]]
        if row["overtaken"] >= MAX_OVERTAKEN:
            break
    return [rows[0]["id"]] if rows else []


def _taken_early(passed: int) -> str:
    jobs = "an older job" if passed == 1 else f"{passed} older jobs"
    return f"Taken before {jobs}: its model is warm."


def _note(connection: sqlite3.Connection, job_id: str, text: str) -> None:
    line = " ".join(text.split())
    connection.execute("UPDATE job SET notes = trim(notes || char(10) || ?, char(10)) WHERE id = ?", (line, job_id))


def _get(connection: sqlite3.Connection, job_id: str) -> JobRecord:
    row = connection.execute(f"{_RECORD} WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise LatenttyError(
            Problem(code="not_found", cause=f"There is no job {job_id!r}.", hint="The queue screen lists them.")
        )
    return record_of(row)


def _interrupt(connection: sqlite3.Connection, problem: Problem, where: str, *values: str) -> None:
    connection.execute(
        "UPDATE job SET problem = ?, state = iif(attempts >= ?, 'failed', 'interrupted'),"
        f" finished = iif(attempts >= ?, ?, NULL) WHERE state = 'running' AND {where}",
        (pack(problem), MAX_ATTEMPTS, MAX_ATTEMPTS, time.time(), *values),
    )
