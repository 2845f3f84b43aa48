"""Cells that stand there already are not sent again, and the screen looks the same as if they were."""

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tui.terminal.driver import STYLED
from tui.terminal.rows import Rows
from tui.terminal.stand_ins import FIRST

WIDTH, HEIGHT = 6, 3

RED, BLUE, BOLD = "\x1b[38;2;9;0;0;48;2;1;1;1m", "\x1b[38;2;0;0;9;48;2;1;1;1m", "\x1b[1m"
PICTURES = [chr(FIRST + 1 + 100 * picture) for picture in range(3)]
"""The first cell of each picture that is as wide as the screen."""

Span = tuple[int, int, list[tuple[str, str]]]
"""Row, column, styles with their letters."""

Shown = tuple[int, str]
"""Row, and the picture that is in it."""


def spans(letters: str) -> st.SearchStrategy[Span]:
    styled = st.tuples(st.sampled_from(["", RED, BLUE, BOLD + RED]), st.text(letters, min_size=1, max_size=3))
    return st.tuples(st.integers(1, HEIGHT), st.integers(1, WIDTH), st.lists(styled, max_size=3))


SHOWN = st.tuples(st.integers(1, HEIGHT), st.sampled_from(PICTURES))
FRAMES = st.lists(st.lists(spans("ab") | SHOWN, max_size=4), max_size=8)
WIDE_FRAMES = st.lists(st.lists(spans("ab界"), max_size=4), max_size=8)


class Screen:
    """What a terminal shows, in which a picture's cell that does not begin goes by the one at its left."""

    def __init__(self, *, ideal: bool = False) -> None:
        """In an `ideal` one every cell is known by itself."""
        self._ideal = ideal
        self.cells = [[("", " ")] * (WIDTH * 4) for _ in range(HEIGHT)]

    def write(self, text: str) -> None:
        row, column, colours, last = 1, 0, ["", "", ""], ""
        for at, numbers, letter in re.findall(r"\x1b\[(\d+;\d+)H|\x1b\[([\d;]*)m|([^\x1b])", text):
            if at:
                row, column, last = *(int(one) for one in at.split(";")), ""
                column -= 1
            elif letter:
                shown = letter
                if letter >= PICTURES[0]:
                    shown = "+" if last and ord(letter) == ord(last) + 1 and not self._ideal else letter
                self.cells[row - 1][column] = ("" if letter >= PICTURES[0] else "".join(colours), shown)
                column += 2 if letter == "界" else 1
                last = letter
            else:
                colours = _coloured(colours, numbers)
                last = ""

    @property
    def seen(self) -> list[list[tuple[str, str]]]:
        """What stands in each cell: of a picture, which of its cells."""
        return [list(_seen(row)) for row in self.cells]


def _coloured(colours: list[str], numbers: str) -> list[str]:
    bold, front, back = colours
    for one in re.findall(r"38;2;\d+;\d+;\d+|48;2;\d+;\d+;\d+|\d+", numbers) or ["0"]:
        match one[:2]:
            case "0":
                bold = front = back = ""
            case "38":
                front = one
            case "48":
                back = one
            case _:
                bold = one
    return [bold, front, back]


def _seen(row: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    left = ""
    for style, letter in row:
        left = chr(ord(left) + 1) if letter == "+" and left >= PICTURES[0] else letter
        yield style, left


def told(row: int, column: int, parts: list[tuple[str, str]]) -> str:
    return f"\x1b[{row};{column}H" + "".join(f"{style}{text}\x1b[0m" if style else text for style, text in parts)


def of_picture(row: int, first: str, count: int = WIDTH) -> str:
    return told(row, 1, [("", "".join(chr(ord(first) + 10 * row + column) for column in range(count)))])


@given(FRAMES | WIDE_FRAMES)
def test_the_screen_is_the_same(frames: list[list[Span | Shown]]) -> None:
    rows, all_of_it, less = Rows(), Screen(ideal=True), Screen()
    for drawn in frames:
        frame = "".join(told(*one) if len(one) == 3 else of_picture(*one) for one in drawn)
        all_of_it.write(frame)
        less.write(rows.changed(frame, WIDTH))
        assert less.seen == all_of_it.seen


def test_only_cells_that_become_others_are_sent() -> None:
    rows = Rows()
    frame = told(1, 1, [(RED, "abab"), (RED, "ab")]) + told(2, 1, [("", "aaaaaa")]) + "\x1b[2;3H"
    assert rows.changed(frame, WIDTH) == f"\x1b[1;1H{RED}ababab\x1b[2;1H\x1b[0maaaaaa\x1b[2;3H"
    assert rows.changed(frame, WIDTH) == "\x1b[2;3H"
    assert rows.changed(told(1, 3, [(RED, "bb")]), WIDTH) == f"\x1b[1;3H{RED}b\x1b[0m"
    assert rows.changed(told(2, 1, [("", "aa"), (BLUE, "a"), (RED, "a")]), WIDTH) == (
        f"\x1b[2;3H{BLUE}a\x1b[38;2;9;0;0ma\x1b[0m"
    )
    rows.forget()
    assert rows.changed(told(2, 1, [("", "aa")]), WIDTH) == "\x1b[2;1Haa"


def test_what_pixels_were_drawn_over_is_sent_again() -> None:
    rows = Rows()
    rows.changed(told(1, 1, [("", "aaaaaa")]) + told(2, 1, [("", "bbbbbb")]), WIDTH)
    rows.cover(2, 0, 9, 1)
    assert rows.changed(told(1, 1, [("", "aaaaaa")]) + told(2, 1, [("", "bbbbbb")]), WIDTH) == "\x1b[1;3Haaaa"


def test_a_picture_that_takes_the_place_of_another_in_its_first_cell_is_sent_there_alone() -> None:
    rows, screen = Rows(), Screen()
    screen.write(rows.changed(of_picture(1, PICTURES[0]), WIDTH))
    first = rows.changed(of_picture(1, PICTURES[1], 1), WIDTH)
    screen.write(first)
    assert first == of_picture(1, PICTURES[1], 1)
    whole = Screen()
    whole.write(of_picture(1, PICTURES[1]))
    assert screen.seen == whole.seen
    screen.write(rows.changed(told(1, 3, [("", "a")]), WIDTH))
    whole.write(of_picture(1, PICTURES[1]).replace(chr(ord(PICTURES[1]) + 12), "a"))
    assert screen.seen == whole.seen, "what is right of the letter is still of the second picture"


def test_no_style_has_more_numbers_than_mlterm_reads() -> None:
    colours = "38;2;1;2;3;48;2;4;5;6m"
    assert STYLED.sub("\x1b[\\1m\x1b[", f"\x1b[1;3;{colours}fox") == f"\x1b[1;3m\x1b[{colours}fox"
    for fewer in (f"\x1b[{colours}", "\x1b[1;38;2;1;2;3m", "\x1b[12;1H"):
        assert STYLED.sub("\x1b[\\1m\x1b[", fewer) == fewer
