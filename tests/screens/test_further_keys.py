"""The keys that no other flow needs: second keys for the same thing, and what works on every screen."""

from pathlib import Path

import pytest
from textual.widgets import DataTable

from tests.engine.conftest import Running
from tests.library.model_files import KOHYA, KOHYA_XL, write_safetensors
from tests.screens.conftest import press_at_once, snapshot_of, type_text, until
from tests.screens.scripted import draw, open_scripted
from tests.screens.test_gallery import told
from tui.app import PLACES
from tui.library.saved_prompts import SavedPrompt, read_saved_prompts, save_prompt
from tui.library.settings import load_settings
from tui.panes.prompt import PromptArea
from tui.protocol.commands import Rescan
from tui.protocol.prompts import EncoderCount, TokenCounts
from tui.screens.choose import ChooseScreen
from tui.screens.compare import CompareScreen
from tui.screens.help import HelpScreen
from tui.screens.tour import TourScreen
from tui.screens.viewer import ViewerScreen
from tui.widgets.ask_line import AskLine
from tui.widgets.number_input import NumberInput
from tui.widgets.picture_grid import PictureGrid
from tui.widgets.row import Choice


async def test_keys_of_the_studio(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "true")
    await draw(running, "a fox", "a crow", "a cat")
    async with open_scripted(running) as pilot:
        app, studio = pilot.app, pilot.app.screen

        def said(part: str) -> bool:
            return any(part in one.message for one in app._notifications)

        await until(pilot, lambda: "1 of 3" in told(studio, "#caption") and studio.prompts.prompt == "a cat")
        await until(pilot, lambda: studio.query_one("#prompt", PromptArea).past == ("a cat", "a crow", "a fox"))
        for keys, text in (
            (("s",), "a cats"),
            (("up",), "a cat"),
            (("up", "up"), "a fox"),
            (("down",), "a crow"),
            (("left", "up", "x"), "a foxx"),
            (("up", "down", "down"), "a foxx"),
        ):
            await pilot.press(*keys)
            assert studio.prompts.prompt == text
        await pilot.press("ctrl+j", "alt+enter", "shift+enter")
        assert studio.query_one("#prompt").text.endswith("\n\n\n")
        area = studio.query_one("#prompt", PromptArea)
        area.text = "a red apple, " * 20
        await until(pilot, lambda: "80/75 in 2 chunks" in str(area.border_subtitle))
        (mark,) = area.get_line(0).spans
        assert (mark.start, mark.style.underline) == (18 * 13 + 11, True)
        studio.prompts.show_counts(
            TokenCounts(encoders=[EncoderCount(encoder="e", tokens=9, limit=2, starts=[6], cut=True)])
        )
        assert [(span.start, span.style.strike) for span in area.get_line(0).spans] == [(6, None), (6, True)]
        await pilot.press("ctrl+o")
        assert said("cannot be left"), "there is no terminal here to leave"
        steps, scheduler = studio.query_one("#steps", NumberInput), studio.query_one("#scheduler", Choice)
        steps.focus()
        before = int(steps.value)
        await pilot.press("right", "right", "left")
        assert int(steps.value) == before + 1
        await pilot.press("9", "left", "8")
        assert steps.value == "89", "typed, not stepped"
        await pilot.press("tab", *"1e999", "shift+tab", "tab", "right")
        assert studio.query_one("#guidance_scale", NumberInput).value == "1e999", "no number to step from"
        await pilot.press("home", "shift+end", "5")
        before = scheduler.chosen
        scheduler.focus()
        await pilot.press("right")
        assert scheduler.chosen != before
        await pilot.press("left")
        assert scheduler.chosen == before
        await pilot.press("escape", "ctrl+z", "1", "0", "3", "4")
        assert studio._count == "103", "a thousand at most"
        await pilot.press("p")
        assert studio.focused is studio.query_one("#prompt")
        await pilot.press("ctrl+underscore")
        await pilot.press("escape", "5", "6", "7")
        assert studio._count == "567"
        await pilot.press("escape")
        assert studio.focused is studio.query_one("#prompt")
        await pilot.press("escape", "8", "9", "p", "escape")
        await pilot.press("l", "l")
        await until(pilot, lambda: "3 of 3" in told(studio, "#caption"))
        await pilot.press("h")
        await until(pilot, lambda: "2 of 3" in told(studio, "#caption"))
        await pilot.press("f")
        await until(pilot, lambda: said("favourite now") and "★" in told(studio, "#caption"))
        await pilot.press("f")
        await until(pilot, lambda: said("no favourite") and "★" not in told(studio, "#caption"))
        await pilot.press("delete")
        await until(pilot, lambda: len(snapshot_of(pilot).pictures) == 2 and said("in the trash"))
        await pilot.press("n")
        await until(pilot, lambda: len(snapshot_of(pilot).pictures) == 3)
        await pilot.press("v")
        await until(pilot, lambda: len(snapshot_of(pilot).pictures) == 7)
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("f1")
        assert app.screen is studio
        await pilot.press("f1", "q")
        for key in ("q", "space"):
            await app.push_screen(TourScreen(""))
            await pilot.press(key)
            assert app.screen is studio
        await pilot.press("ctrl+q")
    assert app.return_code == 0


async def test_a_saved_prompt_is_deleted_by_a_key_pressed_twice(running: Running) -> None:
    for name in ("flat", "thick"):
        save_prompt(running.paths.prompts, name, SavedPrompt(prompt=f"{{}}, {name}"))
    await draw(running, "a fox")
    async with open_scripted(running) as pilot:
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
        await pilot.press("ctrl+d", "down", "up", "ctrl+d")
        assert set(read_saved_prompts(running.paths.prompts)[0]) == {"flat", "thick"}
        await pilot.press("ctrl+d")
        assert set(read_saved_prompts(running.paths.prompts)[0]) == {"thick"}
        await pilot.press("down", "ctrl+d", "ctrl+d")
        assert "not saved" in str(pilot.app.screen._box.border_subtitle)
        await pilot.press("enter")
        assert pilot.app.screen.prompts.prompt == "a fox"


async def test_a_lora_and_its_words_are_chosen_from_the_library(running: Running, tmp_path: Path) -> None:
    await running.stop()
    words = {"modelspec.trigger_phrase": "pixel art, sprite"}
    lora = write_safetensors(tmp_path / "models" / "loras" / "pixels.safetensors", KOHYA, words)
    write_safetensors(tmp_path / "models" / "loras" / "large.safetensors", KOHYA_XL)
    running.paths.settings_file.parent.mkdir(parents=True, exist_ok=True)
    running.paths.settings_file.write_text(f"model_folders = ['{tmp_path / 'models'}']\nother_programs = false\n")
    await running.start()
    attached = await running.attach()
    await attached.client.request(Rescan())
    await attached.until(lambda: attached.snapshot.library.counts.get("lora") == 2)
    async with open_scripted(running) as pilot:
        app, studio = pilot.app, pilot.app.screen

        def title() -> str:
            return app.screen._title if isinstance(app.screen, ChooseScreen) else ""

        await pilot.press("a", "space", "ctrl+f")
        await until(pilot, lambda: title() == "For the prompt")
        offered = app.screen._options
        assert len(offered) == 4, "one and what comes with the model; another family's are not offered"
        assert any("words: pixel art, sprite" in one for one in offered)
        assert sum("comes with Latentty" in one for one in offered) == 3
        await type_text(pilot, "pxl")
        await pilot.press("enter")
        await until(pilot, lambda: "trigger words" in title())
        await pilot.press("down", "down", "up", "down", "enter")
        await until(pilot, lambda: studio.prompts.prompt == "a <lora:pixels:1>, sprite")

        row = studio.settings._adapters._rows[0]
        row.path.focus()
        await pilot.press("enter")
        await until(pilot, lambda: title() == "The library")
        await pilot.press("enter")
        await until(pilot, lambda: "trigger words" in title())
        assert row.adapter.path == str(lora)
        assert "pixel art, sprite" in str(row._words.content)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is studio)
        assert studio.prompts.prompt == "a <lora:pixels:1>, sprite", "only on request"
        studio.query_one("#vae").focus()
        await pilot.press("ctrl+f")
        await until(pilot, lambda: any("has no vae" in one.message for one in app._notifications))


async def test_keys_of_the_other_screens(running: Running) -> None:
    await draw(running, "a fox", "a crow", "a cat")
    async with open_scripted(running) as pilot:
        app = pilot.app
        await until(pilot, lambda: len(snapshot_of(pilot).pictures) == 3)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, ViewerScreen))
        await pilot.press("pagedown")
        await until(pilot, lambda: told(app.screen, "#about").startswith("2 of 3"))
        await pilot.press("p")
        await until(pilot, lambda: told(app.screen, "#about").startswith("1 of 3"))
        await pilot.press("n", "pageup", "z", "equals_sign", "minus")
        await pilot.press("left", "h", "right", "l", "up", "k", "down", "j", "f9")
        assert not isinstance(app.screen, ViewerScreen)
        await pilot.press("f3")
        grid = app.screen.query_one(PictureGrid)
        await until(pilot, lambda: "3 pictures" in told(app.screen, "#summary"))
        await pilot.press("right", "right", "left", "down", "up")
        assert grid.cursor == 1
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("right", "h")
        assert app.screen._alone == 1
        await pilot.press("q", "f5")
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count)
        await pilot.press("enter")
        assert app.current_mode == "studio"
        await pilot.press("f7")
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count)
        await pilot.press("j", "j", "k")
        table, line = app.screen.query_one(DataTable), app.screen.query_one(AskLine)
        assert table.cursor_row == 1
        for key in ("e", "enter"):
            await pilot.press(key)
            assert line.display
            await pilot.press("escape")
        await pilot.press("delete")
        for number, place in enumerate(PLACES, 1):
            await pilot.press(f"alt+{number}")
            await until(pilot, lambda place=place: app.current_mode == place)
        for number, place in reversed(list(enumerate(PLACES, 1))):
            if app.current_mode == "sweep":
                app.screen.set_focus(None)
            await pilot.press(str(number))
            await until(pilot, lambda place=place: app.current_mode == place)
        await pilot.press("7")
        assert app.current_mode == "studio", "it is typed into the prompt"
        assert app.screen.prompts.prompt.endswith("7")
        app.screen.query_one("#mode").focus()
        await pilot.press("1")


async def test_commands_are_found_by_name_and_a_theme_that_is_chosen_is_kept(running: Running) -> None:
    await draw(running, "a fox", "a crow")
    async with open_scripted(running, 80, 24) as pilot:
        app, studio = pilot.app, pilot.app.screen

        async def choose(part: str) -> None:
            await type_text(pilot, part)
            await pilot.press("enter")

        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: not isinstance(app.screen, ChooseScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        assert any(line.startswith("Enter ^G  Generate") for line in app.screen._options)
        await choose("gallery")
        await until(pilot, lambda: app.current_mode == "gallery")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        assert any("Favourite" in line for line in app.screen._options), "what can be done there"
        await choose("theme")
        await until(pilot, lambda: getattr(app.screen, "_title", "") == "Themes")
        await choose("moss")
        await until(pilot, lambda: app.theme == "moss")
        assert load_settings(running.paths, {}).theme == "moss"

        # keys that come at once, as over a slow line, go where those before them lead
        await until(pilot, lambda: "2 pictures" in told(app.screen, "#summary"))
        await pilot.press("f2")
        press_at_once(
            pilot, "ctrl+r", *"fox", "enter", *"es", "escape", "8", "ctrl+p", *"galler", "enter", "right", "f"
        )
        await until(pilot, lambda: [one.favourite for one in snapshot_of(pilot).pictures] == [False, True])
        assert (studio.prompts.prompt, studio._count, app.current_mode) == ("a foxes", "8", "gallery")
        press_at_once(pilot, "r", "p", "!", "4")
        await until(pilot, lambda: studio.prompts.prompt == "a fox!4")
