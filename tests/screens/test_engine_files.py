"""What is the engine's comes from the engine: the app itself opens none of it, so that it could run on another box."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, Log

from tests.faults.conftest import QuickEngine
from tests.faults.conftest import hatchery as hatchery  # fixtures for these tests too
from tests.faults.conftest import quick as quick
from tests.screens.conftest import OpenApp, snapshot_of, type_text, until
from tui.library.paths import Paths
from tui.screens.compare import CompareScreen
from tui.screens.log import LogScreen
from tui.screens.mask_editor import MaskEditor
from tui.screens.viewer import ViewerScreen
from tui.widgets.ask_line import AskLine
from tui.widgets.mask_canvas import MaskCanvas
from tui.widgets.picture_grid import PictureGrid

WATCHED: list[str] = []
"""Folders in which this process shall open nothing."""

OPENED: list[str] = []


def note(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHED and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | os.PathLike):
        path = os.path.realpath(arguments[0])
        if path.startswith(tuple(WATCHED)) and not path.endswith("engine.lock"):  # which tells where the socket is
            OPENED.append(path)


sys.addaudithook(note)


@contextmanager
def watched(*folders: Path) -> Iterator[list[str]]:
    """What this process opens in `folders` meanwhile."""
    OPENED.clear()
    WATCHED[:] = map(str, folders)
    yield OPENED
    WATCHED.clear()


async def test_pictures_masks_paths_and_the_log_come_over_the_socket(
    quick: QuickEngine, open_app: OpenApp, tmp_path: Path, home: Paths
) -> None:
    (tmp_path / "box").mkdir()
    Image.new("RGB", (96, 64), "teal").save(tmp_path / "box" / "cat.png")
    Image.new("L", (10, 10), "white").save(tmp_path / "box" / "white.png")
    quick.start()
    with home.log_file.open("a") as log:
        log.write("a line\n")
    box, made = tmp_path / "box", tmp_path / "pictures"
    with watched(home.state, home.cache / "thumbnails", made, box) as opened:
        async with open_app() as pilot:
            await see_everything(pilot, box, home)
    assert opened == []
    with watched(box) as opened:
        (box / "cat.png").read_bytes()
    assert opened, "what is opened is seen"


async def see_everything(pilot: Pilot[int], box: Path, home: Paths) -> None:
    app, studio = pilot.app, pilot.app.screen
    settings = studio.settings
    await until(pilot, lambda: settings.model is not None)
    for side in ("#width", "#height"):
        studio.query_one(side, Input).value = "64"
    await pilot.press("escape", "2", "g")
    await until(pilot, lambda: len(snapshot_of(pilot).pictures) == 2 and snapshot_of(pilot).running is None)
    await pilot.press("f9")
    await until(pilot, lambda: isinstance(app.screen, ViewerScreen) and app.screen._images[0] is not None)
    await pilot.press("escape", "f3")
    gallery = app.screen
    await until(pilot, lambda: len(gallery.query_one(PictureGrid)._images) == 2)
    await pilot.press("space", "space", "c")
    await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen._views[1]._image is not None)

    await pilot.press("escape", "f2")
    settings.enter("inpaint", image=f"{box}/")
    image = studio.query_one("#image", Input)
    await until(pilot, lambda: image.value == f"{box}/")
    image.focus()
    await pilot.press("end", "c", "a")
    await until(pilot, lambda: image._suggestion)
    await pilot.press("right")
    assert image.value == f"{box}/cat.png"
    studio.query_one("#mask", Input).focus()
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, MaskEditor))
    editor = app.screen
    assert editor.query_one(MaskCanvas).mask.size == (96, 64)
    await pilot.press("m")
    asked = editor.query_one(AskLine).query_one(Input)
    asked.value = f"{box}/"
    await type_text(pilot, "wh")
    await until(pilot, lambda: asked._suggestion)
    await pilot.press("tab", "enter")
    await until(pilot, lambda: editor.mask.share == 1)
    await pilot.press("e", "space", "enter")
    await until(pilot, lambda: settings.mask)
    assert Path(settings.mask).is_relative_to(home.masks)
    studio.preview.focus()
    await pilot.press("1", "g")
    await until(pilot, lambda: len(snapshot_of(pilot).pictures) == 3)

    await pilot.press("f8")
    await until(pilot, lambda: isinstance(app.screen, LogScreen) and app.screen.query_one(Log).line_count)
