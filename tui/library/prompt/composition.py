"""Several prompts that pull at one picture at once: `a cat AND a dog :0.5`, read as A1111 reads them."""

import re

from msgspec import Struct

from tui.library.prompt.numbers import NUMBER

_AND = re.compile(r"\bAND\b")


class Subprompt(Struct, frozen=True):
    """One of the prompts that are joined by AND."""

    text: str
    weight: float = 1.0


def subprompts(prompt: str) -> list[Subprompt]:
    """The prompts that `prompt` joins; itself when it joins none, and then a number at its end is text.

    Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `get_multicond_prompt_list`.
    """
    parts = _AND.split(prompt)
    return [Subprompt(prompt)] if len(parts) == 1 else [_weighted(part) for part in parts]


def _weighted(part: str) -> Subprompt:
    text, colon, number = part.rpartition(":")
    if colon and NUMBER.fullmatch(number):
        return Subprompt(text.rstrip(), float(number))
    return Subprompt(part.rstrip())
