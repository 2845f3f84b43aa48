"""The gallery of somebody who has drawn for months: thousands of rows with their words, and a file for each.

As a program it fills the gallery of whoever runs it, while no engine does: `python -m tests.many_pictures 5000`.
"""

import sqlite3
import sys
import time
from itertools import islice, product
from pathlib import Path
from typing import Final

import msgspec
from PIL import Image, ImageDraw

from tests.conftest import make_job
from tui.engine.database import Database
from tui.engine.picture_text import describe
from tui.library.paths import Paths
from tui.library.settings import load_settings

SUBJECTS: Final = ("a fox", "a crow", "an old cat", "a cup of tea", "an owl", "two ships", "a red house", "a mountain")
PLACES: Final = ("in the snow", "at night", "on a hill", "under water", "in a forest", "by the sea")
STYLES: Final = ("flat style", "watercolour", "a photograph, 35 mm", "line drawing", "oil on canvas")

DRAWN: Final = 24
"""Files that differ; the others are links to them."""


def enter_pictures(connection: sqlite3.Connection, folder: Path, count: int, *, side: int = 256) -> None:
    """Enter `count` pictures of `side` × `side` pixels, one a job, a minute between each and the next, the last now.

    Their files are made below `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [_draw(folder / f"drawn-{number:02}.png", number, side) for number in range(DRAWN)]
    prompts = [", ".join((f"{subject} {place}", style)) for subject, place, style in product(SUBJECTS, PLACES, STYLES)]
    now = time.time()
    (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM job").fetchone()
    for number in range(count):
        path = folder / f"{number:06}.png"
        path.hardlink_to(files[number % DRAWN])
        job = make_job(prompt=prompts[number % len(prompts)], width=side, height=side, seed=number)
        created = now - 60 * (count - number)
        connection.execute(
            "INSERT INTO job (id, state, position, attempts, submitted, started, finished, payload)"
            " VALUES (?, 'done', ?, 1, ?, ?, ?, ?)",
            (job.id, position + number + 1, created - 2, created - 1, created, msgspec.msgpack.encode(job)),
        )
        connection.execute(
            "INSERT INTO picture (job_id, number, path, seed, width, height, created) VALUES (?, 0, ?, ?, ?, ?, ?)",
            (job.id, str(path), number, side, side, created),
        )
        describe(connection, job, 0)


def _draw(path: Path, number: int, side: int) -> Path:
    image = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for left, top in islice(product(range(4), range(4)), number % 16 + 1):
        corner = left * side // 4, top * side // 4
        colour = (40 * left + 9 * number) % 256, (60 * top + 31 * number) % 256, 255 - 10 * number
        draw.ellipse((*corner, corner[0] + side // 5, corner[1] + side // 5), fill=colour)
    image.save(path)
    return path


async def fill(paths: Paths, count: int) -> None:
    """Fill the gallery of whoever `paths` belong to."""
    paths.state.mkdir(parents=True, mode=0o700, exist_ok=True)
    database = Database(paths.database_file)
    await database.open()
    try:
        folder = load_settings(paths).pictures(paths) / "many"
        await database.run(lambda connection: enter_pictures(connection, folder, count))
    finally:
        database.close()


if __name__ == "__main__":
    import asyncio

    asyncio.run(fill(Paths.of_user(), int(sys.argv[1])))
