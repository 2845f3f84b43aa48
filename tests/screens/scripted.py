"""The app on an engine in this process whose worker is a script, with pictures that are there at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from PIL import Image
from textual.pilot import Pilot

from tests.conftest import make_job
from tests.engine.conftest import Running
from tests.screens.conftest import until
from tui.app import LatenttyApp
from tui.library.settings import load_settings
from tui.terminal.pictures import Pictures
from tui.widgets.status_line import StatusLine

COLOURS = ("red", "green", "blue", "gold", "purple", "teal")


async def draw(running: Running, *prompts: str, **changes: object) -> list[int]:
    """Real picture files, one a prompt, the oldest first; their ids."""
    attached = await running.attach()
    ids = []
    for number, prompt in enumerate(prompts):
        job = make_job(prompt=prompt, **changes)
        await attached.client.submit(job)
        await attached.end_of(job)
        for picture in await attached.client.pictures(job.id):
            Image.new("RGB", (96, 64), COLOURS[number % len(COLOURS)]).save(picture.path)
            ids.append(picture.id)
    return ids


@asynccontextmanager
async def open_scripted(
    running: Running, columns: int = 120, rows: int = 36, pictures: Pictures | None = None
) -> AsyncIterator[Pilot[int]]:
    """The app, attached."""
    app = LatenttyApp(running.paths, load_settings(running.paths), pictures)
    async with app.run_test(size=(columns, rows)) as pilot:
        await until(
            pilot, lambda: app._client.snapshot is not None and app.screen.query_one(StatusLine).state != "connecting"
        )
        await until(pilot, lambda: app._studio.settings.model is not None)
        yield pilot
