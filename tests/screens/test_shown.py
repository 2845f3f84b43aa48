"""What every screen looks like, kept as text beside this file; `pytest --rewrite-shown` writes it anew."""

import asyncio
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Log

from tests.conftest import make_job
from tests.engine.conftest import Running
from tests.screens.conftest import snapshot_of, until
from tests.screens.scripted import draw, open_scripted
from tests.screens.test_gallery import told
from tui.library.saved_prompts import SavedPrompt, save_prompt
from tui.library.setting_fields import setting_fields
from tui.screens import settings
from tui.screens.choose import ChooseScreen
from tui.screens.compare import CompareScreen
from tui.screens.help import HelpScreen
from tui.screens.mask_editor import MaskEditor
from tui.screens.tour import TourScreen
from tui.screens.viewer import ViewerScreen
from tui.widgets.picture_grid import PictureGrid

KEPT = Path(__file__).parent / "shown"
OTHERS = (
    (re.compile(r"(?<=\s)(~|/\w+)/\w.*"), "PATH"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "DATE AND TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "HH:MM:SS"),
    (re.compile(r"\b\d{6}-\S*|[\da-f]+\.png"), "NAME"),
    (re.compile(r"\d+(\.\d)? (s|min)\b( ago)?"), "SECONDS"),
)
"""What is another text each time."""


SOME = ("output_folder", "picture_quality", "download_hosts", "autoload", "theme", "engine.exit_after")
"""The settings that are shown: more come with time."""


def shown(pilot: Pilot[int]) -> str:
    """The screen as text, without colours."""
    strips = pilot.app.screen._compositor.render_strips(pilot.app.size)
    lines = [strip.text.rstrip() for strip in strips]
    for pattern, word in OTHERS:
        lines = [pattern.sub(word, line).rstrip() for line in lines]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
async def test_every_screen_looks_as_it_did(
    running: Running, size: tuple[int, int], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [field for field in setting_fields() if field.name in SOME]
    monkeypatch.setattr(settings, "setting_fields", lambda: some)
    monkeypatch.setattr(settings, "built_in_keys", lambda _: {"generate": "ctrl+g", "gallery.trash": "d,delete"})
    different: list[str] = []

    async def compare(pilot: Pilot[int], name: str) -> None:
        pilot.app.clear_notifications()
        await pilot.pause(0.15)  # one look of the app at what has changed
        path = KEPT / f"{name}-{size[0]}x{size[1]}.txt"
        now = shown(pilot)
        if request.config.getoption("--rewrite-shown"):
            KEPT.mkdir(exist_ok=True)
            path.write_text(now, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != now:
            different.append(f"--- {path.name}, now:\n{now}")

    save_prompt(running.paths.prompts, "flat", SavedPrompt(prompt="{}, flat"))
    running.paths.log_file.parent.mkdir(parents=True, exist_ok=True)
    await draw(running, "a fox in the snow", "a crow", "a cat with a hat")
    async with open_scripted(running, *size) as pilot:
        app, studio = pilot.app, pilot.app.screen
        await until(pilot, lambda: "1 of 3" in told(studio, "#caption"))
        await until(pilot, lambda: "/75" in str(studio.query_one("#prompt").border_subtitle))
        studio.settings._seed.placeholder = "random"
        await compare(pilot, "studio")
        app.push_screen(TourScreen("~/Pictures/latentty"))
        await until(pilot, lambda: isinstance(app.screen, TourScreen))
        await compare(pilot, "tour")
        await pilot.press("escape", "f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await compare(pilot, "help")
        await pilot.press("escape", "ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        await compare(pilot, "prompts")
        await pilot.press("escape", "escape", "o")
        await until(pilot, lambda: isinstance(app.screen, MaskEditor))
        await pilot.press("left", "down", "down")
        await compare(pilot, "edges")
        await pilot.press("g", "r", "L", "J", "r")
        await compare(pilot, "mask")
        await pilot.press("escape", "f9")
        await until(pilot, lambda: isinstance(app.screen, ViewerScreen))
        await until(pilot, lambda: app.screen._images[0] is not None)
        await compare(pilot, "viewer")

        await pilot.press("escape", "f3")
        gallery = app.screen
        await until(pilot, lambda: "3 pictures" in told(gallery, "#summary"))
        await until(pilot, lambda: len(gallery.query_one(PictureGrid)._images) == 3)
        await compare(pilot, "gallery")
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: app.screen._settings)
        await compare(pilot, "compare")

        await pilot.press("escape", "f5")
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count)
        await compare(pilot, "models")
        await pilot.press("f7")
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count)
        await compare(pilot, "settings")
        running.paths.log_file.write_text("INFO The engine answers.\nERROR A line of an error.\n")
        await pilot.press("f8")
        await until(pilot, lambda: app.screen.query_one(Log).line_count)
        await compare(pilot, "log")

        running.script.gate = asyncio.Event()
        attached = await running.attach()
        for prompt in ("a running job", "one that waits"):
            await attached.client.submit(make_job(prompt=prompt))
        await pilot.press("f4")
        await until(pilot, lambda: snapshot_of(pilot).running and len(snapshot_of(pilot).waiting) == 1)
        await compare(pilot, "queue")
        await pilot.press("X", "f6", "n", *"steps=2..4;seed=1,2", "enter")
        await until(pilot, lambda: "0 of 6 drawn" in told(app.screen, "#summary"))
        await until(pilot, lambda: snapshot_of(pilot).running is not None)
        await compare(pilot, "sweep")
        running.script.gate.set()
    assert not different, "\n".join(different)
