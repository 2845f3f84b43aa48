"""The sweeps: what was asked for; their cells are ordinary jobs, and this finds them again."""

import sqlite3
import time

import msgspec

from tui.engine.database import Database
from tui.library.sweeps import cells
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.sweep import Sweep, SweepCell, SweepState


class Sweeps:
    """Every sweep, however long ago."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, sweep: Sweep) -> None:
        """Keep `sweep`; the same id twice is kept once."""
        values = (sweep.id, time.time(), msgspec.msgpack.encode(sweep))
        await self._database.run(
            lambda connection: connection.execute("INSERT INTO sweep VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values)
        )

    async def ids(self) -> list[str]:
        """Of all sweeps, the newest first."""

        def work(connection: sqlite3.Connection) -> list[str]:
            return [row["id"] for row in connection.execute("SELECT id FROM sweep ORDER BY created DESC")]

        return await self._database.run(work)

    async def state(self, sweep_id: str) -> SweepState:
        """How far a sweep is.

        Raises:
            LatenttyError: there is none with that id.
        """

        def work(connection: sqlite3.Connection) -> SweepState:
            row = connection.execute("SELECT payload FROM sweep WHERE id = ?", (sweep_id,)).fetchone()
            if row is None:
                raise LatenttyError(
                    Problem(code="not_found", cause=f"There is no sweep {sweep_id!r}.", hint="Begin a new one.")
                )
            sweep = msgspec.msgpack.decode(row["payload"], type=Sweep)
            found = [_cell(connection, cell.job.id, cell.labels) for cell in cells(sweep)]
            return SweepState(sweep=sweep, cells=found)

        return await self._database.run(work)


def _cell(connection: sqlite3.Connection, job_id: str, labels: list[str]) -> SweepCell:
    row = connection.execute(
        "SELECT state, (SELECT id FROM picture WHERE job_id = job.id AND trashed IS NULL) AS picture"
        " FROM job WHERE id = ?",
        (job_id,),
    ).fetchone()
    if row is None:
        return SweepCell(job_id=job_id, labels=labels, state="absent")
    return SweepCell(job_id=job_id, labels=labels, state=row["state"], picture=row["picture"] or 0)
