"""A label shows letters or question marks, never boxes that look like letters."""

import pytest

from tui.library.contact_sheet import drawable, has


@pytest.mark.parametrize("text", ["a cat · seed 7", "Größe ñ", "кот", "猫", "🦊 fox"])
def test_every_letter_of_a_label_is_in_its_font(text: str) -> None:
    told, font = drawable(text)
    assert len(told) == len(text)
    assert all(has(font, letter) for letter in told)
    assert "猫" not in told or has(font, "猫")
    assert not has(font, "\U0010fffd")
