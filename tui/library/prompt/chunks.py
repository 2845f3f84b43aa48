"""How a prompt of any length is cut into the chunks of 75 tokens that CLIP can see at once."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

LENGTH: Final = 75
"""Tokens of a chunk, without the two that begin and end it."""

BACKTRACK: Final = 20
"""A chunk ends at its last comma when that is at most so many tokens back."""


class Token(Struct, frozen=True):
    """One token, or one row of a textual inversion."""

    id: int
    """In the vocabulary; below 0 for rows of textual inversions: -1 is the first."""
    weight: float = 1.0
    keep: int = 1
    """How many tokens from this one on must stay together."""


BREAK: Final = None
"""Between tokens: here a new chunk begins."""


def chunked(tokens: Iterable[Token | None], comma: int | None, *, backtrack: int = BACKTRACK) -> list[list[Token]]:
    """Chunks of at most 75 tokens; one empty chunk when there are none. `comma` is the id of "," in the vocabulary.

    Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `tokenize_line`.
    """
    chunks: list[list[Token]] = []
    chunk: list[Token] = []
    last_comma = -1
    for token in tokens:
        if token is BREAK:
            chunks.append(chunk)
            chunk, last_comma = [], -1
            continue
        assert token is not None
        if token.id == comma:
            last_comma = len(chunk)
        elif backtrack and len(chunk) == LENGTH and last_comma != -1 and len(chunk) - last_comma <= backtrack:
            moved = chunk[last_comma + 1 :]
            chunks.append(chunk[: last_comma + 1])
            chunk, last_comma = moved, -1
        if len(chunk) == LENGTH or (token.keep > 1 and len(chunk) + token.keep > LENGTH):
            chunks.append(chunk)
            chunk, last_comma = [], -1
        chunk.append(token)
    if chunk or not chunks:
        chunks.append(chunk)
    return chunks
