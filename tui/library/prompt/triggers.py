"""The words that call a LoRA up, put into a prompt."""

import re
from collections.abc import Iterable


def with_triggers(prompt: str, words: Iterable[str]) -> str:
    """`prompt` with those of `words` at its end that it does not say yet, whatever their capitals."""
    for word in (one.strip() for one in words):
        if word and not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE):
            prompt = f"{prompt.rstrip().rstrip(',')}, {word}" if prompt.strip() else word
    return prompt
