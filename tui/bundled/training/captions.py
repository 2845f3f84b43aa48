"""Puts captions together from what a picture shows, its background and its look, as people write prompts."""

import string
from collections.abc import Sequence
from random import Random
from typing import Final

from tui.bundled.training.catalogue import Look
from tui.bundled.training.vocabulary import vocabulary

LOOK_TOLD: Final = 0.85
"""The share of captions that name the look."""


def write_caption(
    random: Random, core: str, backgrounds: Sequence[str] = (), look: Look | None = None, position: str = ""
) -> str:
    """A caption of what `core` tells; most of those with a `look` name it, all name `position` and a background if any.

    `backgrounds` are clauses of which one is taken.
    """
    words = vocabulary()
    background = random.choice(backgrounds) if backgrounds else ""
    look_words = random.choice(words.looks[look]) if look and random.random() < LOOK_TOLD else ""
    opening = f"{random.choice(words.openings)} " if random.random() < 0.12 else ""
    begin = opening + core
    if look_words and random.random() < 0.2 and look_words.endswith("style"):
        begin, look_words = f"{look_words} {core}", ""
    if background and random.random() < 0.12:
        parts, joined = [background, begin, position], [position]
    else:
        parts, joined = [begin, position, background], [position, background]
    return _finished(random, _joined(random, [part for part in (*parts, look_words) if part], joined))


def _joined(random: Random, parts: list[str], joined: list[str]) -> str:
    """All parts after commas, but those that are `joined` mostly without."""
    caption, *rest = parts
    for part in rest:
        caption += (" " if random.random() < 0.7 and part in joined else ", ") + part
    return caption


def _finished(random: Random, caption: str) -> str:
    """At times with words that say nothing, with nonsense or with a full stop behind it, as prompts have."""
    if random.random() < 0.10:
        count = random.choice([1, 1, 2, 3])
        caption += ", " + ", ".join(random.sample(vocabulary().fillers, count))
    if random.random() < 0.015:
        letters = random.randint(2, 8)
        caption += " " + "".join(random.choice(string.ascii_lowercase) for _ in range(letters))
    return caption + "." if random.random() < 0.06 else caption
