"""What the gallery searches: a line of words for every picture, written with the picture itself."""

import sqlite3

from tui.protocol.job import Job


def describe(connection: sqlite3.Connection, job: Job, index: int) -> None:
    """Enter the words and the tags of picture `index` of `job`, whose row is there already."""
    drawn = job.picture(index)
    row = connection.execute(
        "UPDATE picture SET model = ?, mode = ? WHERE job_id = ? AND number = ?"
        " RETURNING id, date(created, 'unixepoch', 'localtime') AS day",
        (job.model, job.mode, job.id, index),
    ).fetchall()[0]
    tags = list(dict.fromkeys(job.tags))
    connection.execute(
        "INSERT INTO picture_text (rowid, prompt, negative, model, mode, tags, day) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row["id"], drawn.prompt, drawn.negative_prompt, job.model, job.mode, " ".join(tags), row["day"]),
    )
    connection.executemany("INSERT INTO tag VALUES (?, ?)", [(row["id"], name) for name in tags])


def tag(connection: sqlite3.Connection, picture: int) -> None:
    """Bring the words up to date with the tags of a picture."""
    connection.execute(
        "UPDATE picture_text SET tags = (SELECT coalesce(group_concat(name, ' '), '') FROM tag WHERE picture_id = ?)"
        " WHERE rowid = ?",
        (picture, picture),
    )
