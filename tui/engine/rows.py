"""Rows of the database as the structs of the protocol."""

import sqlite3

import msgspec

from tui.protocol.events import JobRecord, Picture
from tui.protocol.job import Job
from tui.protocol.problem import Problem


def record_of(row: sqlite3.Row) -> JobRecord:
    """A row of `job`, with its number of pictures as `saved`."""
    return JobRecord(
        job=msgspec.msgpack.decode(row["payload"], type=Job),
        state=row["state"],
        attempts=row["attempts"],
        saved=row["saved"],
        problem=msgspec.msgpack.decode(row["problem"], type=Problem) if row["problem"] else None,
        notes=row["notes"].splitlines(),
        submitted=row["submitted"],
        started=row["started"],
        finished=row["finished"],
    )


def picture_of(row: sqlite3.Row) -> Picture:
    """A row of `picture`."""
    return Picture(
        id=row["id"],
        job_id=row["job_id"],
        index=row["number"],
        path=row["path"],
        seed=row["seed"],
        width=row["width"],
        height=row["height"],
        created=row["created"],
        favourite=bool(row["favourite"]),
    )


def pack(problem: Problem | None) -> bytes | None:
    """`problem` for a column."""
    return None if problem is None else msgspec.msgpack.encode(problem)
