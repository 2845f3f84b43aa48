"""The gallery's search line: what it understands, and that nothing typed into it is SQL or an operator."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.library.picture_search import Search, read_search
from tui.protocol.problem import LatenttyError


def test_words_and_filters_are_told_apart() -> None:
    found = read_search('fox "in the snow" -dog model:sdxl tag:best seed:42 size:512x768 fav')
    assert found == Search(
        match='"fox"* AND "in the snow" AND model : "sdxl"* AND tags : "best"*',
        without='"dog"*',
        favourite=True,
        seed=42,
        size=(512, 768),
    )
    assert read_search("style:flat").match == '"style flat"*', "an unknown filter is words"
    day = read_search("on:2026-11-01")
    assert day.after is not None
    assert day.before is not None
    assert 23 * 3600 <= day.before - day.after <= 25 * 3600


@pytest.mark.parametrize("text", ["seed:x", "size:big", "after:yesterday", "before:2026-13-01"])
def test_a_filter_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(LatenttyError, match="Write it as"):
        read_search(text)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(['"', "*", "-", "NEAR(", "OR", "tag:", "^", "x", "seed:", ":"])).map("".join)
)
def test_whatever_is_typed_can_be_searched_for(text: str) -> None:
    try:
        search = read_search(text)
    except LatenttyError:
        return
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (prompt, negative, model, mode, tags, day)")
        for match in (search.match, search.without):
            if match:
                connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,)).fetchall()
