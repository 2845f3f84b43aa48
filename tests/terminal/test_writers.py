"""What each way of showing pictures sends."""

import base64
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat
from rich.segment import Segment
from textual.color import Color
from textual.filter import Monochrome

from tests.terminal.show import photo
from tui.terminal.iterm2 import ITerm2Writer
from tui.terminal.kitty import DIACRITICS, PLACEHOLDER, KittyWriter
from tui.terminal.quadrants import GLYPHS
from tui.terminal.sixel import SixelWriter
from tui.terminal.stand_ins import HOLE, StandIns
from tui.terminal.text_writers import AsciiWriter, HalfBlockWriter, NothingWriter
from tui.terminal.writer import PIECE, Area, flat

AREA = Area(68, 36, 9, 17)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return photo(1024)


def test_kitty_gets_a_png_within_budget_and_cells_that_refer_to_it(picture: Image.Image) -> None:
    stand_ins = StandIns()
    writer = KittyWriter(stand_ins)
    drawing = writer.draw(picture, AREA, live=False)
    sent = "".join(piece.text for piece in drawing.pieces)
    assert len(sent) <= 250_000
    assert all(len(piece.text) <= PIECE + 100 for piece in drawing.pieces)
    chunks = re.findall(r"\x1b_G[^;]*,m=[01];([^\x1b]*)\x1b\\", sent)
    data = Image.open(io.BytesIO(base64.b64decode("".join(chunks))))
    assert max(data.size) <= 612, "never larger than the pane"
    assert sent.count("q=2") == sent.count("\x1b_G"), "no answer that would be typed"
    frame = stand_ins.spell(drawing.lines[3][0].text)
    assert frame.startswith(f"\x1b[38;5;{drawing.number & 255}m{PLACEHOLDER}{DIACRITICS[3]}{DIACRITICS[0]}")
    assert frame.count(PLACEHOLDER) == 68
    cut = stand_ins.spell(drawing.lines[3][0].text[10:20] + "x")
    assert f"{PLACEHOLDER}{DIACRITICS[3]}{DIACRITICS[10]}" in cut, "a part that was cut off knows where it belongs"
    assert f"d=I,i={drawing.number}" in writer.forget(drawing)
    assert stand_ins.spell(drawing.lines[0][0].text) == " " * 68


def test_small_pictures_keep_every_colour_and_are_not_enlarged() -> None:
    small = photo(64)
    writer = KittyWriter(StandIns())
    pieces = writer.draw(small, AREA, live=False).pieces
    sent = "".join(piece.text for piece in pieces)
    chunks = re.findall(r"\x1b_G[^;]*,m=[01];([^\x1b]*)\x1b\\", sent)
    assert Image.open(io.BytesIO(base64.b64decode("".join(chunks)))).tobytes() == small.tobytes()


def test_inside_tmux_every_command_is_handed_through() -> None:
    drawing = KittyWriter(StandIns(), tmux=True).draw(photo(64), AREA, live=True)
    for piece in drawing.pieces:
        assert piece.text.startswith("\x1bPtmux;\x1b\x1b_G")
        assert piece.text.endswith("\x1b\x1b\\\x1b\\")


def test_sixels_go_in_strips_that_are_whole_and_within_budget(picture: Image.Image) -> None:
    for live, most in ((True, 60_000), (False, 250_000)):
        pieces = SixelWriter().draw(picture.resize((128, 128)) if live else picture, AREA, live=live).pieces
        assert sum(len(piece.text) for piece in pieces) <= most
        assert all(len(piece.text) <= 24_000 for piece in pieces)
        rows = [piece.row for piece in pieces]
        assert rows == sorted({*rows})
        for piece in pieces:
            assert piece.text.startswith("\x1bP")
            assert piece.text.endswith("\x1b\\")
            first_use = re.search(r"#\d+[^;\d]", piece.text)
            assert first_use is not None
            assert ";2;" not in piece.text[first_use.start() :], "every colour is defined before any is used"


def test_iterm_gets_jpegs_in_strips(picture: Image.Image) -> None:
    pieces = ITerm2Writer().draw(picture, AREA, live=False).pieces
    assert sum(len(piece.text) for piece in pieces) <= 250_000
    last = pieces[-1]
    assert last.row is not None
    assert f"width=68;height={36 - last.row};" in last.text


def test_text_fills_the_area(picture: Image.Image) -> None:
    for writer in (HalfBlockWriter(), HalfBlockWriter(quadrants=True), AsciiWriter()):
        lines = writer.draw(picture, AREA, live=False).lines
        assert len(lines) == 36
        assert all(sum(segment.cell_length for segment in line) == 68 for line in lines)


def test_every_way_can_be_shown_without_colours(picture: Image.Image) -> None:
    """As with NO_COLOR; what Textual then lets go through its filter must have a style."""
    for writer in (HalfBlockWriter(), AsciiWriter(), NothingWriter(), KittyWriter(StandIns()), SixelWriter()):
        for line in writer.draw(picture, AREA, live=False).lines:
            grey = Monochrome().apply(line, Color(0, 0, 0))
            assert "".join(segment.text for segment in grey) == "".join(segment.text for segment in line)


def shown(lines: list[list[Segment]], columns: int) -> Image.Image:
    """What half blocks and quadrants look like, four pixels a cell."""
    image = Image.new("RGB", (2 * columns, 2 * len(lines)))
    for row, line in enumerate(lines):
        cells = [(glyph, segment.style) for segment in line for glyph in segment.text]
        for column, (glyph, style) in enumerate(cells):
            front = next(number for number, known in GLYPHS.items() if known == glyph)
            for quarter in range(4):
                colour = style.color if front & 8 >> quarter else style.bgcolor
                image.putpixel((2 * column + quarter % 2, 2 * row + quarter // 2), colour.triplet)
    return image


def test_quadrants_come_closer_to_a_picture_than_half_blocks() -> None:
    image = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(image).ellipse((31, 47, 371, 333), fill="orange", outline="navy", width=30)
    area = Area(40, 20)
    wanted = image.resize((80, 40), Image.Resampling.BOX)
    errors = []
    for writer in (HalfBlockWriter(), HalfBlockWriter(quadrants=True)):
        drawn = shown(writer.draw(image, area, live=False).lines, area.columns)
        errors.append(ImageStat.Stat(ImageChops.difference(wanted, drawn)).rms)
    assert all(quadrant < 0.7 * half for half, quadrant in zip(*errors, strict=True))


def test_what_is_transparent_shows_a_checkerboard() -> None:
    clear = flat(Image.new("RGBA", (32, 32), (255, 0, 0, 0)))
    assert len(set(clear.convert("L").tobytes())) == 2
    assert flat(Image.new("RGBA", (4, 4), (255, 0, 0, 255))).getpixel((1, 1)) == (255, 0, 0)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 20)), min_size=1, max_size=60))
def test_stand_ins_of_different_pictures_never_mix(sizes: list[tuple[int, int]]) -> None:
    stand_ins = StandIns()
    kept: list[tuple[int, list[str]]] = []
    for number, (columns, rows) in enumerate(sizes):
        added = stand_ins.add(
            columns, rows, lambda row, column, length, number=number: f"<{number},{row},{column},{length}>"
        )
        kept.append((number, added))
        if number % 3 == 2:
            stand_ins.remove(kept.pop(0)[1])
    for number, added in kept:
        columns = len(added[0])
        assert stand_ins.spell(added[-1]) == f"<{number},{len(added) - 1},0,{columns}>"
    assert stand_ins.spell(f"a{HOLE * 3}b") == "a\x1b[3Cb"
