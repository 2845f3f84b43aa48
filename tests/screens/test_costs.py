"""What going about costs: styles that are looked up and widgets that are made, counted."""

import asyncio

import pytest
from textual._compositor import Compositor
from textual.widget import Widget

from tests.engine.conftest import Running
from tests.screens.conftest import until
from tests.screens.scripted import draw, open_scripted
from tui.app import PLACES, LatenttyApp
from tui.screens.choose import ChooseScreen
from tui.widgets.key_line import KeyLine

KEYS = {"gallery": "f3", "queue": "f4", "models": "f5", "sweep": "f6", "settings": "f7", "log": "f8", "studio": "f2"}


async def test_going_about_makes_nothing_anew(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await draw(running, "a fox", "a crow")
    async with open_scripted(running) as pilot:
        app = pilot.app

        async def go(place: str) -> None:
            await pilot.press(KEYS[place])
            await until(pilot, lambda: app.current_mode == place and app.screen.is_current)
            await pilot.pause(0.15)

        assert set(KEYS) == set(PLACES)
        for place in KEYS:
            await go(place)

        styled: list[object] = []
        apply = app.stylesheet.apply
        monkeypatch.setattr(
            app.stylesheet, "apply", lambda node, **options: styled.append(node) or apply(node, **options)
        )
        laid_out: list[object] = []
        reflow = Compositor.reflow
        monkeypatch.setattr(
            Compositor, "reflow", lambda self, parent, size: laid_out.append(parent) or reflow(self, parent, size)
        )
        made: list[Widget] = []
        monkeypatch.setattr(app, "_register", _counted(app._register, made))
        for place in KEYS:
            styled.clear()
            await go(place)
            assert len(styled) <= 10, f"{place} looks up the styles of {styled}"
            assert not laid_out, f"{place} has the size that it had"
        assert not made

        studio = app.screen
        studio.query_one("#mode").focus()
        await pilot.pause(0.1)
        styled.clear()
        await pilot.press("tab")
        await pilot.pause(0.1)
        assert studio.focused is not studio.query_one("#mode")
        assert studio.settings.has_class("-active")
        assert len(styled) <= 20, "only of the two rows that the focus goes from and to"
        assert not made, "the line of keys is one widget"
        await pilot.press("escape")
        studio.preview.focus()
        await until(pilot, lambda: not studio.settings.has_class("-active"))


async def test_another_size_lays_every_screen_out_anew(running: Running) -> None:
    async with open_scripted(running) as pilot:
        await until(pilot, lambda: set(pilot.app._open) == set(PLACES))
        await pilot.resize_terminal(90, 28)
        await until(pilot, lambda: pilot.app.screen.query_one(KeyLine).region.bottom == 28)
        await pilot.press(KEYS["queue"])
        await until(pilot, lambda: pilot.app.current_mode == "queue")
        await until(pilot, lambda: pilot.app.screen.query_one(KeyLine).region.bottom == 28)


async def test_screens_are_made_while_nobody_types(running: Running) -> None:
    async with open_scripted(running) as pilot:
        app = pilot.app
        await until(pilot, lambda: set(app._open) == set(PLACES) and all(one.is_mounted for one in app._open.values()))
        assert app.current_mode == "studio"
        assert app.screen is app._open["studio"]


async def test_no_screen_is_made_while_the_app_closes_them(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    rested = asyncio.Event()
    monkeypatch.setattr(LatenttyApp, "_rest", lambda _: rested.wait())
    async with open_scripted(running) as pilot:
        app = pilot.app
        close = app._close_all

        async def close_all() -> None:
            rested.set()
            await asyncio.sleep(0.1)
            await close()

        monkeypatch.setattr(app, "_close_all", close_all)
    assert rested.is_set()
    assert set(app._open) == {"studio"}


async def test_a_click_on_the_line_of_keys_presses_the_key(running: Running) -> None:
    async with open_scripted(running) as pilot:
        line = pilot.app.screen.query_one(KeyLine)
        await until(pilot, lambda: line.keys)
        left = sum(key.width for key in line.keys[: [key.told for key in line.keys].index("F3")])
        await pilot.click(KeyLine, offset=(left + 2, 0))
        await until(pilot, lambda: pilot.app.current_mode == "gallery")
        await pilot.click(KeyLine, offset=(pilot.app.size.width - 4, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))


def _counted(register: object, made: list[Widget]) -> object:
    def counted(parent: object, *widgets: Widget, **options: object) -> object:
        made.extend(widgets)
        return register(parent, *widgets, **options)  # type: ignore[operator]

    return counted
