"""A text encoder is given the tokens, and its output the weights, that A1111 documents for the same prompt."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import CLIPTokenizer

from tui.worker.conditioning import PromptEncoder
from tui.worker.shared_tokenizers import shared_tokenizer

TABLE = Path(__file__).parents[1] / "library" / "prompt" / "a1111.md"
BEGIN, END = 49406, 49407
FOX, DOG, COMMA = 3240, 1929, 267

Chunk = list[tuple[int, float]]


def rows() -> list[tuple[str, list[Chunk]]]:
    found = re.findall(r"^\| `(.*)` \| (?:doctest|manual|code) \| (.*) \|$", TABLE.read_text(), re.MULTILINE)
    return [(prompt, [chunk_of(part) for part in told.split("‖")]) for prompt, told in found]


def chunk_of(told: str) -> Chunk:
    tokens = (token.rpartition("·")[2].partition("@") for token in told.split())
    return [(int(number), float(weight or 1)) for number, _, weight in tokens]


LONG: list[tuple[str, list[Chunk]]] = [
    ("fox " * 80, [[(FOX, 1)] * 75, [(FOX, 1)] * 5]),
    (f"({'fox ' * 80}:1.3)", [[(FOX, 1.3)] * 75, [(FOX, 1.3)] * 5]),
    ("fox " * 60 + ", " + "dog " * 20, [[(FOX, 1)] * 60 + [(COMMA, 1)], [(DOG, 1)] * 20]),
    ("fox " * 50 + ", " + "dog " * 30, [[(FOX, 1)] * 50 + [(COMMA, 1)] + [(DOG, 1)] * 24, [(DOG, 1)] * 6]),
]
"""Longer than a chunk: it is cut at a comma that is at most 20 tokens back, A1111's default, else after 75."""


class Listener(nn.Module):
    """A text encoder that says the same of every token, so that its weighted output tells the weights."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.some = nn.Parameter(torch.ones(1))
        self.heard = torch.zeros(0)

    def forward(self, ids: torch.Tensor, output_hidden_states: bool) -> Any:
        self.heard = ids
        return (torch.ones(*ids.shape, 4),)

    def get_input_embeddings(self) -> Any:
        return SimpleNamespace(weight=torch.zeros(1, 4))


def test_the_table_is_read_whole() -> None:
    assert len(rows()) == TABLE.read_text().count("| `") >= 25


@pytest.mark.parametrize("open_clip", [False, True], ids=["fills up with the end", "fills up with !"])
@pytest.mark.parametrize(("prompt", "chunks"), [*rows(), *LONG])
def test_tokens_and_weights_are_a1111s(prompt: str, chunks: list[Chunk], open_clip: bool) -> None:
    tokenizer = shared_tokenizer("tokenizer", CLIPTokenizer, open_clip=open_clip)
    assert tokenizer is not None
    listener = Listener()
    text, _ = PromptEncoder(tokenizer.load(), listener, {}, 1, pooled=False).encoded(prompt)
    fill = 0 if open_clip else END
    wanted = [[BEGIN, *(number for number, _ in one), END, *[fill] * (75 - len(one))] for one in chunks]
    assert listener.heard.tolist() == wanted
    for part, one in zip(text[0].split(77), chunks, strict=True):
        weights = part[:, 0] / part[0, 0]
        assert weights.tolist() == pytest.approx([1, *(weight for _, weight in one), *[1] * (76 - len(one))], rel=1e-5)
