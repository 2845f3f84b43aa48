"""Foreign text cannot steer the terminal."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tui.library.plain_text import plain

HOSTILE = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "L", "So"]))


@given(HOSTILE)
def test_nothing_that_controls_is_left(text: str) -> None:
    left = {unicodedata.category(letter) for letter in plain(text) if letter not in "\u200d\ufffd"}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_escape_sequences_and_bidi_are_defused_and_words_stay() -> None:
    assert plain("a\x1b[31mred\x07\u202egnp.exe\n日本 👩‍🎨") == "a[31mredgnp.exe 日本 👩‍🎨"
    assert plain("a\nb", keep_newlines=True) == "a\nb"
