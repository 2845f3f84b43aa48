"""What a terminal says, and what the user types meanwhile, are told apart."""

from hypothesis import given
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser

from tui.terminal.answers import AnswerReader
from tui.terminal.driver import ALT_DIGITS

ANSWERS = [
    "\x1bP>|kitty(0.41.1)\x1b\\",
    "\x1b_Gi=31;OK\x1b\\",
    "\x1b[6;17;9t",
    "\x1b[?2026;2$y",
    "\x1bP1$r0;48:2::1:2:3m\x1b\\",
    "\x1b[?62;4;22c",
]
KEYS = st.sampled_from(["a", "ß", "\r", "\t", "\x1b[A", "\x1b[1;5C", "\x1bOP", "\x1b[15~", "\x1b[I", " ", "c", "\x7f"])


@given(typed=st.lists(KEYS, max_size=8), cuts=st.lists(st.integers(0, 200), max_size=6), data=st.data())
def test_answers_never_become_keys_and_keys_never_get_lost(
    typed: list[str], cuts: list[int], data: st.DataObject
) -> None:
    parts = [*ANSWERS]
    for key in typed:
        parts.insert(data.draw(st.integers(0, len(parts))), key)
    expected = "".join(part for part in parts if part not in ANSWERS)
    text = "".join(parts)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    reader, got, start = AnswerReader(), "", 0
    for end in ends:
        got += reader.feed(text[start:end])
        start = end
    assert got + reader.give_up() == expected
    assert reader.answers == ANSWERS
    assert (reader.name, reader.cell, reader.complete) == ("kitty(0.41.1)", (9, 17), True)
    assert reader.kitty_graphics
    assert reader.sixel
    assert reader.synchronized
    assert reader.truecolor


@given(st.text(alphabet="\x1b[]P_G;?0123456789c\\|>RtaAmy$", max_size=60))
def test_anything_else_passes_whole(text: str) -> None:
    reader = AnswerReader()
    passed = reader.feed(text) + reader.give_up()
    assert len(passed) + sum(map(len, reader.answers)) == len(text)


def test_alt_and_a_digit_is_a_key_of_its_own_also_in_a_burst() -> None:
    assert [key.key for key in XTermParser().feed("\x1b3\x1b13£")] == ["alt+3", "alt+1", "3", "pound_sign"]
    assert ALT_DIGITS
