"""The main job in the app: type a prompt, see the picture, find it on the disk - by keys alone."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from tests.conftest import pictures_below
from tests.engine.conftest import Running
from tests.screens.conftest import OpenApp, snapshot_of, type_text, until
from tests.screens.scripted import draw, open_scripted
from tui import client
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.library.pictures import read_making
from tui.protocol.job import Mode
from tui.screens.help import HelpScreen
from tui.widgets.number_input import NumberInput
from tui.widgets.picture_strip import PictureStrip
from tui.widgets.picture_view import PictureView
from tui.widgets.status_line import StatusLine


async def shrink(pilot: object) -> None:
    """Small pictures, few steps."""
    for name, text in (("width", "64"), ("height", "64"), ("steps", "3")):
        pilot.app.screen.query_one(f"#{name}", NumberInput).value = text


async def test_a_prompt_becomes_a_picture(open_app: OpenApp, tmp_path: Path) -> None:
    """In terminals of every size, one after the other at one engine."""
    for number, size in enumerate([(80, 24), (120, 36), (200, 60)], 1):
        async with open_app(*size) as pilot:
            await make_a_picture(pilot, tmp_path / "pictures", number)


async def make_a_picture(pilot: Pilot[int], pictures: Path, number: int) -> None:
    """The picture with that number, from 1, of all in the folder."""
    app = pilot.app
    await until(pilot, lambda: app.screen.settings.model is not None)
    await until(pilot, lambda: app.screen.prompts.prompt == ("a red apple" if number > 1 else ""))  # all as it was left
    await shrink(pilot)
    app.screen.query_one("#seed", NumberInput).value = f"{number}"
    app.screen.prompts.fill("", "")
    await type_text(pilot, "a red apple")
    await pilot.press("enter")
    await until(pilot, lambda: len(pictures_below(pictures)) == len(snapshot_of(pilot).pictures) == number)
    view = app.screen.query_one(PictureView)
    await until(pilot, lambda: view.image is not None and view.image.width > 8)  # no preview frame any more
    assert view.size.height >= 10
    makings = {making.seed: making.job for path in pictures_below(pictures) if (making := read_making(path))}
    assert (makings[number].prompt, makings[number].steps) == ("a red apple", 3)
    await until(pilot, lambda: app.screen.query_one(StatusLine).state == "ready")
    assert "emoji-tiny" in app.screen.query_one(StatusLine).model
    if app.size.height >= 36:
        await until(pilot, lambda: len(app.screen.query_one(PictureStrip)._images) == number)
    await pilot.press("ctrl+q")  # which has what was typed last kept for the next one


async def test_the_screen_is_there_and_takes_typing_before_any_engine_is(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()

    async def never(_: Paths) -> None:
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(client, "start_engine", never)
    async with open_app() as pilot:
        await type_text(pilot, "a fox")
        assert pilot.app.screen.prompts.prompt == "a fox"
        assert pilot.app.screen.query_one(StatusLine).state == "connecting"
        await until(pilot, started.is_set)
        await pilot.press("ctrl+g")  # too early: told, not lost
        assert pilot.app.screen.prompts.prompt == "a fox"


async def test_an_engine_that_cannot_start_is_told_on_the_screen(
    open_app: OpenApp, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TRY_AGAIN", 0.1)
    home.state.parent.mkdir(parents=True, exist_ok=True)
    home.state.write_text("in the way of the state folder")
    async with open_app() as pilot:
        await until(pilot, lambda: pilot.app.screen.query_one(StatusLine).state == "no engine")
        problem = str(pilot.app.screen.query_one("#problem", Static).content)
        assert "cannot be written" in problem
        home.state.unlink()
        await until(pilot, lambda: pilot.app.screen.query_one(StatusLine).state == "ready")
        assert not pilot.app.screen.query_one("#problem", Static).display


async def test_a_wrong_value_is_explained_as_one_types_and_is_not_sent(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    async with open_app() as pilot:
        app = pilot.app
        await until(pilot, lambda: app.screen.settings.model is not None)
        width = app.screen.query_one("#width", NumberInput)
        width.focus()
        await pilot.press("2", "5", "0")
        await pilot.pause()
        assert width.value == "250", "typing replaces what was there"
        help_line = app.screen.query_one("#help", Static)
        assert "in steps of 8" in str(help_line.content)
        assert help_line.has_class("-wrong")
        app.screen.query_one("#prompt").focus()
        await pilot.press("ctrl+g")
        await pilot.pause(0.2)
        assert app.focused is width
        assert snapshot_of(pilot).jobs == {}
        await pilot.press("2", "5", "6")
        await pilot.pause()
        assert width.complaint is None


async def test_cancel_new_seed_and_count(open_app: OpenApp, tmp_path: Path) -> None:
    async with open_app() as pilot:
        app = pilot.app
        await until(pilot, lambda: app.screen.settings.model is not None)
        await shrink(pilot)
        app.screen.query_one("#seed", NumberInput).value = "5"
        await pilot.press("ctrl+n")
        await until(pilot, lambda: len(pictures_below(tmp_path / "pictures")) == 1)
        assert app.screen.query_one("#seed", NumberInput).value == ""
        app.screen.query_one("#steps", NumberInput).value = "400"
        app.screen.query_one("#count", NumberInput).value = "3"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: (step := snapshot_of(pilot).step) is not None and step.steps == 400 and step.step)
        # the queue is told with the next paint
        await until(pilot, lambda: "1 of 3" in str(app.screen.query_one("#queue", Static).content))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: [one.state for one in snapshot_of(pilot).jobs.values()] == ["done", "cancelled"])
        await pilot.press("ctrl+x")  # nothing to cancel is no error
        assert len(pictures_below(tmp_path / "pictures")) == 1


async def test_a_failure_is_shown_with_cause_and_hint_until_the_next_job(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as pilot:
        app = pilot.app
        await until(pilot, lambda: app.screen.query_one(StatusLine).state == "ready")
        await shrink(pilot)
        (tmp_path / "pictures").write_text("in the way")
        await pilot.press("ctrl+g")
        problem = app.screen.query_one("#problem", Static)
        await until(pilot, lambda: problem.display)
        assert "No picture can be written" in str(problem.content)
        await until(pilot, lambda: app.screen.query_one(StatusLine).state == "held")  # with the next paint
        (tmp_path / "pictures").unlink()
        await until(pilot, lambda: bool(snapshot_of(pilot).pictures))
        assert not problem.display


async def test_the_engine_stands_still_and_dies_and_the_app_goes_on(
    open_app: OpenApp, home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BEAT", 0.1)
    async with open_app() as pilot:
        app = pilot.app
        await until(pilot, lambda: app.screen.query_one(StatusLine).state == "ready")
        await shrink(pilot)
        app.screen.query_one("#steps", NumberInput).value = "60"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: snapshot_of(pilot).step is not None and snapshot_of(pilot).step.step > 1)
        told = read_engine_file(home.lock_file)
        assert told is not None
        os.kill(told.pid, signal.SIGSTOP)
        await until(pilot, lambda: app.screen.query_one(StatusLine).state == "no answer")
        os.kill(told.pid, signal.SIGCONT)
        await until(pilot, lambda: app.screen.query_one(StatusLine).state == "drawing")
        os.kill(told.pid, signal.SIGKILL)
        await until(pilot, lambda: len(pictures_below(tmp_path / "pictures")) == 1)
        await until(pilot, lambda: app.screen.query_one(StatusLine).state == "ready")


async def test_help_lists_the_live_keys_and_every_footer_key_is_in_it(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    async with open_app(80, 24) as pilot:
        footer = {
            active.binding.description for active in pilot.app.screen.active_bindings.values() if active.binding.show
        }
        await pilot.press("f1")
        assert isinstance(pilot.app.screen, HelpScreen)
        listed = {active.binding.description for active in pilot.app.screen._shown}
        assert footer <= listed
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, HelpScreen)


async def test_the_app_comes_back_to_where_it_was_left(open_app: OpenApp, tmp_path: Path) -> None:
    async with open_app() as pilot:
        await until(pilot, lambda: pilot.app.screen.query_one(StatusLine).state == "ready")
        await shrink(pilot)
        await type_text(pilot, "two apples")
        await pilot.press("enter")
        await until(pilot, lambda: len(pictures_below(tmp_path / "pictures")) == 1)
        await type_text(pilot, " and a pear")
        pilot.app.screen.query_one("#steps", NumberInput).value = "44"
        pilot.app.screen.query_one("#tags", Input).value = "fruit, still"
        pilot.app.screen.query_one("#file_stem", Input).value = "fruit"
        await pilot.press("f10")
    async with open_app() as pilot:
        screen = pilot.app.screen
        screen.query_one("#negative", TextArea).text = "blue"  # before any engine answers
        screen.query_one("#guidance_scale", NumberInput).value = "7"
        await until(pilot, lambda: screen.prompts.prompt == "two apples and a pear")
        assert screen.prompts.negative_prompt == "blue"
        assert screen.query_one("#steps", NumberInput).value == "44"
        assert screen.query_one("#guidance_scale", NumberInput).value == "7"
        job = screen.draft()
        assert (job.tags, job.file_stem) == (["fruit", "still"], "fruit")
        await until(pilot, lambda: screen.query_one(PictureView).image is not None)


async def test_what_is_typed_after_a_change_of_mode_stays_however_long_the_engine_takes(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_scripted(running) as pilot:
        screen = pilot.app.screen

        async def enter(mode: Mode) -> None:
            screen.settings.enter(mode)
            await until(pilot, lambda: screen.query_one("#row-strength").display == (mode != "txt2img"))
            await pilot.pause()

        monkeypatch.setattr(screen.client, "_send", lambda *_: None)  # no engine answers
        await enter("img2img")
        screen.query_one("#strength").focus()
        await pilot.press("0", ".", "9", "tab", "2", "5", "0")
        await enter("txt2img")
        await enter("inpaint")
        assert screen.query_one("#strength", NumberInput).value == "0.6"
        await enter("img2img")
        assert screen.query_one("#strength", NumberInput).value == "0.9"
        assert screen.query_one("#width", NumberInput).value == "256", "250 is not possible"


async def test_what_was_typed_comes_back_after_a_recall(running: Running) -> None:
    await draw(running, "a fox", steps=3)
    async with open_scripted(running) as pilot:
        screen = pilot.app.screen
        await until(pilot, lambda: screen.shown is not None and screen.prompts.prompt == "a fox")
        steps = screen.query_one("#steps", NumberInput)
        screen.prompts.fill("a long story", "blue")
        steps.value = "44"
        await pilot.press("escape", "r")
        await until(pilot, lambda: screen.prompts.texts == ("a fox", "") and steps.value == "3")
        assert any("z brings it back" in one.message for one in pilot.app._notifications)
        await pilot.press("z")
        await until(pilot, lambda: screen.prompts.texts == ("a long story", "blue") and steps.value == "44")
        assert screen.query_one("#seed", NumberInput).value == ""
        screen.query_one("#prompt").focus()
        await pilot.press("ctrl+underscore")
        await until(pilot, lambda: screen.prompts.prompt == "a fox")  # and so does the text alone
