"""Trigger words are put in once, whatever is there already."""

import pytest

from tui.library.prompt.triggers import with_triggers


@pytest.mark.parametrize(
    ("prompt", "words", "wanted"),
    [
        ("a fox", ["pixel art", "px"], "a fox, pixel art, px"),
        ("a Fox, ", ["fox", "foxes"], "a Fox, foxes"),
        ("", ["px"], "px"),
        ("a (px:1.2) fox", ["px", " "], "a (px:1.2) fox"),
        ("a fox", ["c++ (logo)"], "a fox, c++ (logo)"),
    ],
)
def test_only_what_the_prompt_does_not_say_is_added(prompt: str, words: list[str], wanted: str) -> None:
    assert with_triggers(prompt, words) == wanted
    assert with_triggers(wanted, words) == wanted
