"""The mask editor: every key paints what it says, the mouse too."""

import asyncio
import io

import pytest
from PIL import Image
from rich.segment import Segment
from textual.app import App
from textual.widgets import Static

from tests.screens.conftest import until
from tui.client import Arrived
from tui.library.mask import KEPT
from tui.protocol.job import Edges
from tui.protocol.problem import LatenttyError, Problem
from tui.screens import mask_editor
from tui.screens.mask_editor import MaskEditor, Painted
from tui.terminal.half_blocks import half_blocks
from tui.widgets.ask_line import AskLine
from tui.widgets.mask_canvas import MaskCanvas


class Box:
    """The engine's box: pictures by path, and what was stored."""

    def __init__(self) -> None:
        self.pictures: dict[str, Image.Image] = {}
        self.stored: list[bytes] = []
        self.drafts: list[bool] = []
        self.problem: Problem | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def fetch_file(
        self, path: str, width: int, height: int, *, draft: bool = False, arrived: Arrived | None = None
    ) -> bytes:
        if path not in self.pictures:
            raise LatenttyError(Problem(code="not_found", cause=f"{path} is gone."))
        buffer = io.BytesIO()
        self.pictures[path].save(buffer, format="PNG")
        return buffer.getvalue()

    async def store_mask(self, data: bytes, picture: str = "", *, draft: bool = False) -> str:
        self.stored.append(data)
        self.drafts.append(draft)
        await self.answers.wait()
        if self.problem is not None:
            raise LatenttyError(self.problem)
        return f"/masks/{len(self.stored)}.png"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_every_key_and_the_mouse(size: tuple[int, int]) -> None:
    app: App[None] = App()
    box = Box()
    box.pictures["/white.png"] = Image.new("L", (10, 10), "white")
    answers: list[Painted | None] = []
    async with app.run_test(size=size) as pilot:
        editor = MaskEditor(box, Image.new("RGB", (96, 64), "teal"))
        await app.push_screen(editor, answers.append)
        canvas = editor.query_one(MaskCanvas)
        await pilot.press("enter")
        assert answers == []  # nothing is painted yet

        async def share_after(*keys: str) -> float:
            await pilot.press(*keys)
            return editor.mask.share

        dab = await share_after("space")
        assert 0 < dab < 0.1
        assert await share_after("b", "L", "right", "b") > dab
        assert await share_after("u", "u") == 0
        assert await share_after("ctrl+y") > 0
        assert await share_after("x") == 0
        assert await share_after("H", "K", "r", "J", "L", "r") > 0
        filled = editor.mask.share
        assert await share_after("e", "space") < filled
        assert canvas.value == KEPT
        assert await share_after("e", "f") >= filled - 0.2
        before = editor.mask.share
        assert abs(await share_after("i") - (1 - before)) < 0.02
        await pilot.press("s", "x", "o", "down", "right", "down", "left", "up", "escape")
        assert canvas.begun is None
        radius = canvas.radius
        await pilot.press("j", "k", "h", "shift+left", "shift+right", "shift+up", "u", "U")
        await pilot.press("equals_sign", "minus", "plus", "z", "z")
        assert (canvas.radius > radius, canvas.zoom) == (True, 4)
        await pilot.press("minus", "Z", "Z")
        assert canvas.zoom == 1
        await pilot.press("m")
        editor.query_one(AskLine).query_one("Input").value = "/white.png"
        await pilot.press("enter")
        await until(pilot, lambda: editor.mask.share == 1)
        await pilot.press("x")
        await pilot.mouse_down(canvas, offset=(3, 3))
        await pilot.hover(canvas, offset=(12, 6))
        await pilot.mouse_up(canvas, offset=(12, 6))
        assert editor.mask.share > dab
        await pilot.press("enter")
        await until(pilot, lambda: answers)
        assert answers == [Painted(mask="/masks/1.png")]
        assert Image.open(io.BytesIO(box.stored[0])).tobytes() == editor.mask.image.tobytes()


async def test_what_was_painted_outlives_every_failure_to_save_it() -> None:
    app: App[None] = App()
    box = Box()
    box.problem = Problem(code="disk_full", cause="The disk is full.")
    answers: list[Painted | None] = []
    async with app.run_test() as pilot:
        editor = MaskEditor(box, Image.new("RGB", (96, 64), "teal"))
        await app.push_screen(editor, answers.append)
        await pilot.press("space", "enter")
        await until(pilot, lambda: any("disk is full" in one.message for one in app._notifications))
        painted = editor.mask.share
        assert painted
        box.problem = None
        box.answers.clear()  # no engine answers for a while: keys go on to work
        await pilot.press("enter", "L", "space")
        assert editor.mask.share > painted
        assert "saving" in str(editor.query_one("#mask-title", Static).content)
        await pilot.press("escape")
        assert "saving" not in str(editor.query_one("#mask-title", Static).content)
        await pilot.press("m")
        editor.query_one(AskLine).query_one("Input").value = "/gone.png"
        await pilot.press("enter")
        await until(pilot, lambda: any("gone" in one.message for one in app._notifications))
        await pilot.press("escape")
        assert answers == [], "leaving without it takes a second key"
        await pilot.press("enter", "H", "space")
        box.answers.set()
        await until(pilot, lambda: answers)
        assert Image.open(io.BytesIO(box.stored[-1])).tobytes() == editor.mask.image.tobytes(), "all of it"


async def test_a_mask_that_is_not_finished_is_kept_while_one_paints_and_when_one_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mask_editor, "DRAFT_AFTER", 0.01)
    app: App[None] = App()
    box, picture = Box(), Image.new("RGB", (96, 64), "teal")
    answers: list[Painted | None] = []
    async with app.run_test() as pilot:
        editor = MaskEditor(box, picture, "/cat.png")
        await app.push_screen(editor, answers.append)
        await pilot.press("space")
        await until(pilot, lambda: box.drafts == [True])
        monkeypatch.setattr(mask_editor, "DRAFT_AFTER", 60)
        await pilot.press("L", "space", "L", "space", "escape")
        await until(pilot, lambda: answers == [None])
        left = Image.open(io.BytesIO(box.stored[-1]))
        assert left.tobytes() == editor.mask.image.tobytes()

        editor = MaskEditor(box, picture, "/cat.png", draft=left)
        await app.push_screen(editor, answers.append)
        assert editor.mask.image.tobytes() == left.tobytes()
        await pilot.press("u")
        assert editor.mask.share == 0
        await pilot.press("U", "enter")
        await until(pilot, lambda: len(answers) == 2)
        assert box.drafts == [True, True, False]


async def test_a_key_lays_only_the_rows_anew_that_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    laid: list[int] = []

    def counted(image: Image.Image, columns: int, rows: int) -> list[list[Segment]]:
        laid.append(rows)
        return half_blocks(image, columns, rows)

    monkeypatch.setattr("tui.widgets.mask_canvas.half_blocks", counted)
    app: App[None] = App()
    async with app.run_test(size=(120, 40)) as pilot:
        editor = MaskEditor(Box(), Image.effect_noise((256, 256), 90).convert("RGB"))
        await app.push_screen(editor)
        canvas = editor.query_one(MaskCanvas)
        assert sum(laid) >= canvas.size.height
        laid.clear()
        await pilot.press("right", "space")
        assert 0 < sum(laid) <= canvas.size.height // 2
        kept = [strip.text for strip in canvas._strips], list(canvas._strips)
        canvas._laid = None
        canvas.redraw()
        assert ([strip.text for strip in canvas._strips], canvas._strips) == kept, "as if all were laid anew"


async def test_a_mask_that_is_there_is_gone_on_with_and_left_without_a_question() -> None:
    app: App[None] = App()
    answers: list[Painted | None] = []
    async with app.run_test() as pilot:
        editor = MaskEditor(Box(), Image.new("RGB", (96, 64), "teal"), begun=Image.new("L", (48, 32), "white"))
        await app.push_screen(editor, answers.append)
        assert editor.mask.share == 1
        await pilot.press("escape")
        assert answers == [None]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_arrow_keys_grow_the_edges_on_the_picture(size: tuple[int, int]) -> None:
    app: App[None] = App()
    answers: list[Painted | None] = []
    async with app.run_test(size=size) as pilot:
        editor = MaskEditor(Box(), Image.new("RGB", (256, 256), "teal"), grow=Edges())
        await app.push_screen(editor, answers.append)
        canvas = editor.query_one(MaskCanvas)
        before = len(canvas.render_line(0).text.strip())
        await pilot.press("space", "enter")
        assert answers == []
        assert not editor.mask.share
        await pilot.press("left", "left", "l", "down", "down", "shift+down")
        assert canvas.grow == Edges(left=32, right=16, bottom=16)
        assert "← 32  ↑ 0  → 16  ↓ 16 px · 304×272" in str(editor.query_one("#mask-title", Static).content)
        assert len(canvas.render_line(0).text.strip()) > before, "the border is seen beside the picture"
        await pilot.press("up", "u", "K")
        assert canvas.grow.top == 0
        await pilot.press("x", "u", "g", "space")
        assert editor.mask.share
        await pilot.press("g", "enter")
        assert answers == [Painted(grow=Edges(left=32, right=16, bottom=16))]
