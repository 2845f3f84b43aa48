"""The index of saved pictures: search, marks, and the trash."""

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tui.engine.database import Database
from tui.engine.picture_text import tag
from tui.engine.rows import picture_of
from tui.library.picture_search import Search, read_search
from tui.library.pictures import write_problem
from tui.library.trash import move, place_now, trash_place
from tui.protocol.commands import FindPictures, MarkPictures
from tui.protocol.events import Picture
from tui.protocol.gallery import PictureInfo, PicturePage, Sort
from tui.protocol.problem import LatenttyError, Problem

_ORDER: Final[dict[Sort, str]] = {
    "newest": "picture.id DESC",
    "oldest": "picture.id",
    "model": "picture.model COLLATE NOCASE, picture.id DESC",
    "largest": "picture.width * picture.height DESC, picture.id DESC",
    "favourites": "picture.favourite DESC, picture.id DESC",
}
_INFO = """
    SELECT picture.*, substr(coalesce(picture_text.prompt, ''), 1, 500) AS prompt,
        (SELECT group_concat(name, char(10)) FROM
            (SELECT name FROM tag WHERE picture_id = picture.id ORDER BY name)) AS tags
    FROM picture LEFT JOIN picture_text ON picture_text.rowid = picture.id
"""


class Gallery:
    """Reads what the queue entered, and keeps what the user says about it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(self, count: int) -> list[Picture]:
        """The last `count` pictures that were not thrown away, newest first."""

        def work(connection: sqlite3.Connection) -> list[Picture]:
            rows = connection.execute("SELECT * FROM picture WHERE trashed IS NULL ORDER BY id DESC LIMIT ?", (count,))
            return [picture_of(row) for row in rows]

        return await self._database.run(work)

    async def of_job(self, job_id: str) -> list[Picture]:
        """Every picture of one job, in its order."""

        def work(connection: sqlite3.Connection) -> list[Picture]:
            rows = connection.execute("SELECT * FROM picture WHERE job_id = ? ORDER BY number", (job_id,))
            return [picture_of(row) for row in rows]

        return await self._database.run(work)

    async def get(self, picture_id: int) -> Picture:
        """One picture.

        Raises:
            LatenttyError: there is none with that id.
        """
        return await self._database.run(lambda connection: picture_of(_row(connection, picture_id)))

    async def file(self, picture_id: int) -> Path:
        """Where the file of a picture is now, in the trash or not.

        Raises:
            LatenttyError: there is no picture with that id.
        """
        row = await self._database.run(lambda connection: _row(connection, picture_id))
        return place_now(Path(row["path"]), trashed=row["trashed"] is not None)

    async def job_of(self, picture_id: int) -> str:
        """The id of the job that made a picture.

        Raises:
            LatenttyError: there is no picture with that id.
        """
        row = await self._database.run(lambda connection: _row(connection, picture_id))
        return str(row["job_id"])

    async def find(self, command: FindPictures) -> PicturePage:
        """A page of what a search line finds.

        Raises:
            LatenttyError: the line has a filter that cannot be read.
        """
        where, values = _conditions(read_search(command.text), trashed=command.trashed)

        def work(connection: sqlite3.Connection) -> PicturePage:
            (total,) = connection.execute(f"SELECT count(*) FROM picture WHERE {where}", values).fetchone()
            rows = connection.execute(
                f"{_INFO} WHERE {where} ORDER BY {_ORDER[command.sort]} LIMIT ? OFFSET ?",
                (*values, command.limit, command.offset),
            )
            return PicturePage(total=total, pictures=[_info(row) for row in rows])

        return await self._database.run(work)

    async def mark(self, command: MarkPictures) -> None:
        """Change favourites and tags, all or none of them.

        Raises:
            LatenttyError: there is no picture with one of the ids.
        """

        def work(connection: sqlite3.Connection) -> None:
            for one in command.pictures:
                _row(connection, one)
                if command.favourite is not None:
                    connection.execute("UPDATE picture SET favourite = ? WHERE id = ?", (int(command.favourite), one))
                connection.executemany(
                    "INSERT INTO tag VALUES (?, ?) ON CONFLICT DO NOTHING", [(one, name) for name in command.add_tags]
                )
                connection.executemany(
                    "DELETE FROM tag WHERE picture_id = ? AND name = ?", [(one, name) for name in command.remove_tags]
                )
                if command.add_tags or command.remove_tags:
                    tag(connection, one)

        await self._database.run(work)

    async def trash(self, pictures: Iterable[int], *, trashed: bool) -> None:
        """Throw pictures away, or bring them back. Where it ends half-way, :func:`place_now` finds the files.

        Raises:
            LatenttyError: there is no picture with one of the ids, or a file cannot be moved.
        """
        wanted = list(pictures)

        def work(connection: sqlite3.Connection) -> None:
            paths = [Path(_row(connection, one)["path"]) for one in wanted]
            when = time.time() if trashed else None
            for one, path in zip(wanted, paths, strict=True):
                move(path, trashed=trashed)
                connection.execute("UPDATE picture SET trashed = ? WHERE id = ?", (when, one))

        await self._database.run(work)

    async def empty_trash(self) -> int:
        """Delete for good what was thrown away; how many pictures that were.

        Raises:
            LatenttyError: a file cannot be deleted; those before it are gone.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[int], OSError | None, Path]:
            gone: list[int] = []
            place = Path()
            for row in connection.execute("SELECT id, path FROM picture WHERE trashed IS NOT NULL").fetchall():
                place = place_now(Path(row["path"]), trashed=True)
                try:
                    if place == trash_place(Path(row["path"])):
                        place.unlink(missing_ok=True)
                except OSError as error:
                    return gone, error, place
                for statement in FORGET:
                    connection.execute(statement, (row["id"],))
                gone.append(row["id"])
            return gone, None, place

        gone, error, place = await self._database.run(work)
        if error is not None:
            raise LatenttyError(write_problem(error, place.parent))
        return len(gone)


FORGET: Final = (
    "DELETE FROM picture_text WHERE rowid = ?",
    "DELETE FROM tag WHERE picture_id = ?",
    "DELETE FROM picture WHERE id = ?",
)
"""All that is known about a picture."""


def _conditions(search: Search, *, trashed: bool) -> tuple[str, list[object]]:
    """`search` as SQL over `picture`, and its values."""
    found: list[tuple[str, tuple[object, ...]]] = [(f"trashed IS {'NOT ' if trashed else ''}NULL", ())]
    if search.match:
        found.append(("picture.id IN (SELECT rowid FROM picture_text WHERE picture_text MATCH ?)", (search.match,)))
    if search.without:
        query = "picture.id NOT IN (SELECT rowid FROM picture_text WHERE picture_text MATCH ?)"
        found.append((query, (search.without,)))
    if search.favourite:
        found.append(("favourite", ()))
    if search.seed is not None:
        found.append(("seed = ?", (search.seed,)))
    if search.size is not None:
        found.append(("width = ? AND height = ?", search.size))
    if search.after is not None:
        found.append(("created >= ?", (search.after,)))
    if search.before is not None:
        found.append(("created < ?", (search.before,)))
    return " AND ".join(condition for condition, _ in found), [value for _, values in found for value in values]


def _row(connection: sqlite3.Connection, picture_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM picture WHERE id = ?", (picture_id,)).fetchone()
    if row is None:
        raise LatenttyError(
            Problem(code="not_found", cause=f"There is no picture {picture_id}.", hint="Refresh the list.")
        )
    return row


def _info(row: sqlite3.Row) -> PictureInfo:
    return PictureInfo(
        picture=picture_of(row),
        prompt=row["prompt"],
        model=row["model"],
        mode=row["mode"],
        favourite=bool(row["favourite"]),
        tags=(row["tags"] or "").splitlines(),
        trashed=row["trashed"],
    )
