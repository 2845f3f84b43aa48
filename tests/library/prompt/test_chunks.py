"""A prompt of any length is cut where A1111 cuts it, and its length is known without torch."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tui.library.models import BUNDLED, read_model
from tui.library.paths import bundled_models
from tui.library.prompt.chunks import Token, chunked
from tui.library.token_counts import count_tokens

COMMA = 99


def ids(*numbers: int) -> list[Token]:
    return [Token(number) for number in numbers]


@given(st.lists(st.integers(0, 99), max_size=400), st.integers(0, 20))
def test_chunks_hold_every_token_in_order_and_75_at_most(numbers: list[int], backtrack: int) -> None:
    chunks = chunked(ids(*numbers), COMMA, backtrack=backtrack)
    assert [token.id for chunk in chunks for token in chunk] == numbers
    assert all(len(chunk) <= 75 for chunk in chunks)
    assert chunks == [[]] or all(chunks)


def test_a_phrase_after_a_near_comma_moves_to_the_next_chunk() -> None:
    numbers = [1] * 60 + [COMMA] + [2] * 20
    assert [len(chunk) for chunk in chunked(ids(*numbers), COMMA)] == [61, 20]
    far = [1] * 40 + [COMMA] + [2] * 40
    assert [len(chunk) for chunk in chunked(ids(*far), COMMA)] == [75, 6]


def test_break_ends_a_chunk_and_an_inversion_is_not_torn() -> None:
    assert [len(chunk) for chunk in chunked([*ids(1, 2), None, *ids(3)], COMMA)] == [2, 1]
    inversion = [Token(-1 - row, 1.0, 4 - row) for row in range(4)]
    assert [len(chunk) for chunk in chunked([*ids(*[1] * 73), *inversion], COMMA)] == [73, 4]


def test_the_bundled_models_tokens_are_counted() -> None:
    model = read_model(bundled_models() / BUNDLED)
    (one,) = count_tokens(model, "a (red:1.2) apple <lora:x:1>", 20, {}).encoders
    assert (one.tokens, one.limit, one.chunks) == (3, 75, [])
    (long,) = count_tokens(model, "a red apple, " * 40, 20, {}).encoders
    assert long.tokens == 160
    assert long.chunks == [75, 148]
    assert long.starts == [18 * 13 + 11, 37 * 13], "the comma after the 75th token, the word after the next 73"
    assert count_tokens(model, "(a:1.2.3)", 20, {}).notices[0].kind == "error"


def test_counting_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, tui.library.token_counts; print({'torch', 'numpy', 'transformers'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
