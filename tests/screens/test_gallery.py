"""The gallery screen and the compare screen: every key of them, on an engine whose worker is a script."""

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from tests.engine.conftest import Running
from tests.many_pictures import enter_pictures
from tests.screens.conftest import type_text, until
from tests.screens.scripted import draw, open_scripted
from tui.screens.compare import CompareScreen, differences
from tui.screens.gallery import GalleryScreen
from tui.screens.studio import StudioScreen
from tui.screens.viewer import ViewerScreen
from tui.terminal.flow import SteadyFlow
from tui.terminal.pictures import Pictures
from tui.terminal.terminal import Terminal
from tui.widgets.ask_line import AskLine
from tui.widgets.picture_grid import REST, PictureGrid
from tui.widgets.picture_view import PictureView

PROMPTS = ("a fox", "a crow", "a cat", "a cup", "an owl", "a fox in snow")


def told(screen: object, where: str) -> str:
    return str(screen.query_one(where, Static).content)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_every_key_of_the_gallery(running: Running, size: tuple[int, int], tmp_path: Path) -> None:
    await draw(running, *PROMPTS)
    async with open_scripted(running, *size) as pilot:
        await pilot.press("f3")
        screen = pilot.app.screen
        assert isinstance(screen, GalleryScreen)
        grid = screen.query_one(PictureGrid)
        await until(pilot, lambda: "6 pictures · newest" in told(screen, "#summary"))
        await until(pilot, lambda: grid.tile is not None and grid.has_image(grid.tile.key))
        assert grid.tile.caption == "a fox in snow"
        await until(pilot, lambda: "64×64 · seed 7" in told(screen, "#details"))

        await pilot.press("l")
        assert grid.tile.caption == "an owl"
        await pilot.press("f")
        await until(pilot, lambda: "★ favourite" in told(screen, "#details"))
        await pilot.press("t")
        await type_text(pilot, "night bird")
        await pilot.press("enter")
        await until(pilot, lambda: "#bird · #night" in told(screen, "#details"))
        await pilot.press("t")
        await type_text(pilot, "-bird")
        await pilot.press("enter")
        await until(pilot, lambda: "#bird" not in told(screen, "#details"))
        await pilot.press("z")
        await until(pilot, lambda: "#bird" in told(screen, "#details"))

        await pilot.press("slash")
        await type_text(pilot, "fox")
        await pilot.press("enter")
        await until(pilot, lambda: "2 pictures · found by 'fox'" in told(screen, "#summary"))
        await pilot.press("slash", *["backspace"] * 3, "enter")
        await until(pilot, lambda: "6 pictures · newest" in told(screen, "#summary"))
        for sort in ("oldest", "model", "largest", "favourites", "newest", "oldest"):
            await pilot.press("slash", "escape", "s")
            await until(pilot, lambda sort=sort: sort in told(screen, "#summary"))
        await until(pilot, lambda: grid.tile.caption == "a fox")

        await pilot.press("space", "space", "d")
        await until(pilot, lambda: "4 pictures" in told(screen, "#summary"))
        await pilot.press("b")
        await until(pilot, lambda: "TRASH: d brings back · 2 pictures" in told(screen, "#summary"))
        await pilot.press("delete")
        await until(pilot, lambda: "TRASH: d brings back · 1 picture" in told(screen, "#summary"))
        await pilot.press("b")
        await until(pilot, lambda: told(screen, "#summary").startswith("5 pictures"))
        await pilot.press("E")  # only where the trash is seen
        assert not screen.query_one(AskLine).display
        await pilot.press("z", "z")
        await until(pilot, lambda: told(screen, "#summary").startswith("6 pictures"))

        await pilot.press("a")
        assert "6 selected" in told(screen, "#summary") or size == (80, 24)
        await pilot.press("n")
        assert "selected" not in told(screen, "#summary")
        for key, name in (("x", "copies"), ("X", "bare")):
            await pilot.press(key)
            screen.query_one("#ask Input", Input).value = str(tmp_path / name)
            await pilot.press("enter")
            await until(pilot, lambda name=name: len(list((tmp_path / name).glob("*.png"))) == 1)
        await pilot.press("a", "p")
        screen.query_one("#ask Input", Input).value = str(tmp_path / "sheet.png")
        await pilot.press("enter", "n", "y")
        await until(pilot, (tmp_path / "sheet.png").exists)
        assert pilot.app.clipboard.endswith(".png")

        before = grid.tile_width
        await pilot.press("plus")
        assert grid.tile_width > before
        await pilot.press("minus", "G", "g", "pagedown", "pageup", "end", "home", "j", "k", "l", "h")
        assert grid.cursor == 0
        await pilot.press("r")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudioScreen))
        assert pilot.app.screen.prompts.prompt == "a fox"
        recalled = pilot.app.screen.draft()
        assert (recalled.seed, recalled.steps, recalled.width) == (7, 2, 64)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_pictures_are_compared_side_by_side_and_in_one_place(running: Running, size: tuple[int, int]) -> None:
    await draw(running, "a fox", "a crow", "a cat")
    async with open_scripted(running, *size) as pilot:
        await pilot.press("f3")
        gallery = pilot.app.screen
        await until(pilot, lambda: "3 pictures" in told(gallery, "#summary"))
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        screen = pilot.app.screen
        views = list(screen.query(PictureView))
        await until(pilot, lambda: all(view.image is not None for view in views))
        captions = [str(one.content) for one in screen.query(".caption").results(Static)]
        assert captions == ["1  prompt a cat", "2  prompt a crow"]
        await pilot.press("s")
        assert "scheduler dpmpp-2m" in str(screen.query(".caption").first(Static).content)
        await pilot.press("space")
        assert [view.parent.display for view in views] == [True, False]
        await pilot.press("right", "left", "l")
        assert [view.parent.display for view in views] == [False, True]
        await pilot.press("b")
        assert [view.parent.display for view in views] == [True, True]
        await pilot.press("escape", "n", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ViewerScreen))
        await until(pilot, lambda: "3 of 3" in str(pilot.app.screen.query_one("#about", Static).content))
        await pilot.press("q")
        assert pilot.app.screen is gallery


async def test_the_trash_is_emptied_after_a_question(running: Running, tmp_path: Path) -> None:
    await draw(running, "a fox", "a crow", "a cat")
    async with open_scripted(running) as pilot:
        await until(pilot, lambda: len(pilot.app.screen.preview._recent._images) == 3)
        await pilot.press("f3")
        gallery = pilot.app.screen
        await until(pilot, lambda: "3 pictures" in told(gallery, "#summary"))
        await pilot.press("space", "space", "d")
        await until(pilot, lambda: told(gallery, "#summary").startswith("1 picture"))
        await pilot.press("f2")
        await until(pilot, lambda: len(pilot.app.screen.preview._recent._images) == 1)
        await until(pilot, lambda: "1 of 1" in told(pilot.app.screen, "#caption"))
        await pilot.press("f3", "b")
        await until(pilot, lambda: "TRASH: d brings back · 2 pictures" in told(gallery, "#summary"))
        await pilot.press("E", "n", "o", "enter")
        await pilot.press("E", "y", "e", "s", "enter")
        await until(pilot, lambda: "TRASH: d brings back · 0 pictures" in told(gallery, "#summary"))
        assert len(list(tmp_path.rglob("*.png"))) == 1
        await pilot.press("b")
        await until(pilot, lambda: told(gallery, "#summary").startswith("1 picture"))
        await pilot.press("z")
        assert "2 pictures are deleted for good." in [one.message for one in pilot.app._notifications]


async def test_twenty_thousand_pictures_cost_what_is_in_sight(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert running.engine is not None
    folder = tmp_path / "many"
    await running.engine._database.run(lambda connection: enter_pictures(connection, folder, 20_000, side=64))
    async with open_scripted(running) as pilot:
        fetched: list[int] = []
        client = pilot.app._client  # type: ignore[attr-defined]
        fetch = client.fetch

        async def counted(picture: int, width: int, height: int) -> bytes:
            fetched.append(picture)
            return await fetch(picture, width, height)

        monkeypatch.setattr(client, "fetch", counted)
        await pilot.press("f3")
        screen = pilot.app.screen
        grid = screen.query_one(PictureGrid)
        await until(pilot, lambda: "20,000 pictures" in told(screen, "#summary"))
        await until(pilot, lambda: grid.tile is not None and grid.has_image(grid.tile.key))
        await pilot.press("end")
        await until(pilot, lambda: grid.cursor == 19_999 and grid.tile is not None and grid.has_image(grid.tile.key))
        assert grid.tile.caption == "a fox in the snow, flat style"
        first, last = grid.in_sight
        assert len(fetched) <= 2 * (last - first + grid.columns) + 10

        drawn: list[int] = []
        line = grid.render_line
        monkeypatch.setattr(grid, "render_line", lambda y: drawn.append(y) or line(y))
        await pilot.press("left", "f")
        await until(pilot, lambda: "★ favourite" in told(screen, "#details"))
        assert len(drawn) <= 2 + 2 * grid.tile_height, "a step and a mark draw the captions and the tile, not the grid"
        await pilot.press("slash", *"watercolour", "enter")
        await until(pilot, lambda: "4,000 pictures" in told(screen, "#summary"))


async def test_a_terminal_that_can_shows_the_pictures_in_sight_in_all_their_pixels(running: Running) -> None:
    kitty = Terminal(is_terminal=True, truecolor=True, kitty_graphics=True, cell_width=9, cell_height=18)
    ids = await draw(running, *PROMPTS)
    async with open_scripted(running, 80, 24, Pictures(kitty, "kitty")) as pilot:
        await pilot.press("f3")
        grid = pilot.app.screen.query_one(PictureGrid)
        await until(pilot, lambda: set(grid._spots) == set(ids))
        assert grid.pixels == 9 * grid.tile_width
        assert all(spot.image.width == 96 for spot in grid._spots.values()), "whole, since that is small"
        await pilot.press("plus", "plus", "plus")  # one picture fills the grid
        await until(pilot, lambda: set(grid._spots) == {ids[-1]})
        await pilot.press("down")
        await until(pilot, lambda: set(grid._spots) == {ids[-2]})


def test_only_what_differs_is_told() -> None:
    assert differences([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}]) == ["b"]
    assert differences([]) == []


async def test_pixels_lie_over_a_gallery_that_rests_and_on_a_slow_line_text_comes_first(running: Running) -> None:
    await draw(running, "a fox", "a crow")
    terminal = Terminal(is_terminal=True, truecolor=True, sixel=True, cell_width=10, cell_height=20)
    pictures = Pictures(terminal)
    async with open_scripted(running, pictures=pictures) as pilot:
        await pilot.press("f3")
        grid = pilot.app.screen.query_one(PictureGrid)
        await until(pilot, lambda: len(grid._spots) == 2)
        pictures.pump.flow = SteadyFlow(1000)
        await pilot.press("plus")
        await until(pilot, lambda: len(grid._images) == 2)
        await pilot.pause(2 * REST)
        assert not grid._spots

        pictures.use("halfblock")
        pictures.pump.flow = SteadyFlow(1000)
        await pilot.press("f4", "f3")
        assert len(grid._late) == 2
        await until(pilot, lambda: not grid._late)
