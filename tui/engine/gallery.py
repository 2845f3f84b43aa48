"""The index of saved pictures, and pictures at the size that a screen can show."""

import io
import sqlite3
from pathlib import Path

from PIL import Image

from tui.engine.database import Database
from tui.engine.rows import picture_of
from tui.library.picture_bounds import check_claims
from tui.protocol.events import Picture
from tui.protocol.problem import LatenttyError, Problem


class Gallery:
    """Reads what the queue entered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(self, count: int) -> list[Picture]:
        """The last `count` pictures, newest first."""

        def work(connection: sqlite3.Connection) -> list[Picture]:
            rows = connection.execute("SELECT * FROM picture ORDER BY id DESC LIMIT ?", (count,))
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

        def work(connection: sqlite3.Connection) -> Picture:
            row = connection.execute("SELECT * FROM picture WHERE id = ?", (picture_id,)).fetchone()
            if row is None:
                raise LatenttyError(
                    Problem(code="not_found", cause=f"There is no picture {picture_id}.", hint="Refresh the list.")
                )
            return picture_of(row)

        return await self._database.run(work)


def shrunk_png(path: Path, width: int, height: int) -> bytes:
    """The picture at `path` as a PNG of at most `width` × `height` pixels, aspect ratio kept, never enlarged.

    Raises:
        LatenttyError: the file is gone or no picture.
    """
    try:
        with Image.open(path) as image:
            check_claims(image, path)
            image.thumbnail((max(width, 1), max(height, 1)), Image.Resampling.LANCZOS, reducing_gap=3.0)
            shown = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA")
            buffer = io.BytesIO()
            shown.save(buffer, format="PNG", compress_level=1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise LatenttyError(
            Problem(
                code="not_found",
                cause=f"The picture {path} cannot be read: {error}.",
                hint="It may have been moved or removed.",
            )
        ) from None
    return buffer.getvalue()
