"""Rows that stand there already are not sent again, and the screen looks the same as if they were."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tui.terminal.driver import STYLED
from tui.terminal.rows import Rows

WIDTH, HEIGHT = 4, 3

WHOLE = st.lists(st.text("ab", min_size=WIDTH, max_size=WIDTH), min_size=HEIGHT, max_size=HEIGHT)
PARTS = st.lists(st.tuples(st.integers(1, HEIGHT), st.integers(1, WIDTH), st.sampled_from("ab")), max_size=4)


def written(whole: list[str] | None, parts: list[tuple[int, int, str]]) -> str:
    rows = [f"\x1b[{row};1H{text}" for row, text in enumerate(whole or [], 1)]
    return "".join(rows + [f"\x1b[{row};{column}H{text}" for row, column, text in parts])


class Screen:
    """What a terminal shows."""

    def __init__(self) -> None:
        self.cells = [[" "] * WIDTH for _ in range(HEIGHT)]

    def write(self, text: str) -> None:
        for row, column, words in re.findall(r"\x1b\[(\d+);(\d+)H([ab]*)", text):
            self.cells[int(row) - 1][int(column) - 1 : int(column) - 1 + len(words)] = words


@given(st.lists(st.tuples(st.none() | WHOLE, PARTS), max_size=8))
def test_the_screen_is_the_same(frames: list[tuple[list[str] | None, list[tuple[int, int, str]]]]) -> None:
    rows, all_of_it, less = Rows(), Screen(), Screen()
    for whole, parts in frames:
        frame = written(whole, parts)
        all_of_it.write(frame)
        less.write(rows.changed(frame, HEIGHT))
        assert less.cells == all_of_it.cells


def test_what_is_drawn_twice_is_sent_once() -> None:
    rows = Rows()
    frame = written(["aaaa", "bbbb", "abab"], [])
    assert rows.changed(frame, HEIGHT) == frame
    assert rows.changed(written(["aaaa", "bbba", "abab"], []), HEIGHT) == "\x1b[2;1Hbbba"
    assert rows.changed(written(None, [(1, 2, "b")]), HEIGHT) == "\x1b[1;2Hb"
    assert rows.changed(written(["aaaa", "bbba", "abab"], []), HEIGHT) == "\x1b[1;1Haaaa"
    rows.forget()
    assert rows.changed(frame, HEIGHT) == frame


def test_no_style_has_more_numbers_than_mlterm_reads() -> None:
    colours = "38;2;1;2;3;48;2;4;5;6m"
    assert STYLED.sub("\x1b[\\1m\x1b[", f"\x1b[1;3;{colours}fox") == f"\x1b[1;3m\x1b[{colours}fox"
    for fewer in (f"\x1b[{colours}", "\x1b[1;38;2;1;2;3m", "\x1b[12;1H"):
        assert STYLED.sub("\x1b[\\1m\x1b[", fewer) == fewer
