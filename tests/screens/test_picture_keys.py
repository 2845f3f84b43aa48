"""With the preview in focus, single letters act on the picture that is shown."""

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from tests.conftest import pictures_below
from tests.screens.conftest import OpenApp, snapshot_of, type_text, until
from tests.screens.test_studio import shrink
from tui.library.paths import Paths
from tui.library.saved_prompts import SavedPrompt, save_prompt
from tui.screens.choose import ChooseScreen
from tui.screens.mask_editor import MaskEditor
from tui.widgets.number_input import NumberInput


async def test_every_key_of_the_picture(
    open_app: OpenApp, tmp_path: Path, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(count: int) -> bool:
        return len([one for one in pictures_below(tmp_path / "pictures") if ".trash" not in str(one)]) == count

    save_prompt(home.prompts, "flat", SavedPrompt(prompt="{}, flat"))
    async with open_app() as pilot:
        app, screen = pilot.app, pilot.app.screen
        settings = screen.settings
        copied: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await until(pilot, lambda: settings.model is not None)
        await shrink(pilot)
        await type_text(pilot, "a red apple")
        await until(pilot, lambda: "/75" in str(screen.query_one("#prompt").border_subtitle))

        await pilot.press("escape", "2", "g")  # a count, then generate
        await until(
            pilot, lambda: len(pictures_below(tmp_path / "pictures")) == 2 and snapshot_of(pilot).running is None
        )
        newest, older = snapshot_of(pilot).pictures
        await pilot.press("right")
        assert screen.shown == older
        await pilot.press("k", "y")
        assert screen.query_one("#seed", NumberInput).value == str(older.seed)
        assert copied == [older.path]
        await pilot.press("left")
        assert screen.shown == newest

        await pilot.press("i")  # img2img, with the size of the picture
        await until(pilot, lambda: settings.mode == "img2img" and settings.image == newest.path)
        screen.query_one("#strength", NumberInput).value = "0.9"
        assert screen.query_one("#row-image").display
        assert not screen.query_one("#row-mask").display
        settings.enter("txt2img")
        await until(pilot, lambda: settings.mode == "txt2img" and "txt2img" in snapshot_of(pilot).mode.mode)
        await pilot.press("i")
        await until(pilot, lambda: screen.query_one("#strength", NumberInput).value == "0.9")
        screen.query_one("#strength", NumberInput).value = "0.7"
        await pilot.press("g")
        await until(
            pilot, lambda: len(pictures_below(tmp_path / "pictures")) == 3 and snapshot_of(pilot).running is None
        )
        assert snapshot_of(pilot).jobs[snapshot_of(pilot).pictures[0].job_id].job.mode == "img2img"

        await pilot.press("m")  # inpaint, with a mask that is painted
        await until(pilot, lambda: isinstance(app.screen, MaskEditor))
        await pilot.press("space", "enter")
        await until(pilot, lambda: settings.mode == "inpaint" and settings.mask)
        assert Path(settings.mask).is_relative_to(home.masks)

        screen.prompts.fill("something else", "")
        screen.preview.focus()
        await pilot.press("right", "r")  # recall the one before
        await until(pilot, lambda: settings.mode == "txt2img" and screen.prompts.prompt == "a red apple")
        await pilot.press("c")  # a ControlNet looks at it, and loads
        await until(pilot, lambda: len(settings._controls.controls) == 1)
        await until(pilot, lambda: "emoji-tiny-control-edges" in snapshot_of(pilot).control_states)

        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        app.screen.query_one(Input).value = "style flat"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: screen.prompts.prompt == "a red apple, flat")
        monkeypatch.setenv("EDITOR", "true")
        await pilot.press("ctrl+e")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        await pilot.press("escape")
        await pilot.press("d")
        await until(
            pilot, lambda: len([one for one in pictures_below(tmp_path / "pictures") if ".trash" not in str(one)]) == 2
        )
        await pilot.press("z")
        await until(pilot, lambda: any("back" in one.message for one in app._notifications))
        assert str(screen.query_one("#caption", Static).content)
