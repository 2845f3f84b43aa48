"""The words that captions are made of, by the tables in `vocabulary.toml`."""

from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from tui.bundled.training.catalogue import Look
from tui.bundled.training.subjects import tables

TABLES: Final = Path(__file__).with_name("vocabulary.toml")

UNIQUE: Final = ("sun", "moon", "earth", "full moon", "santa claus", "statue of liberty", "world")
"""Names of which there is one, so that "the" suits them best."""

SOUNDS_AS_CONSONANT: Final = ("ufo", "unicorn", "one", "used")
"""Words that begin with a vowel and take "a" all the same."""

WITHOUT_PLURAL: Final = ("with", "of", "in", "on", "and", "the", "person", "no")
"""A name with one of these words gets no plural: its last word is not what is counted."""


class Colour(Struct, frozen=True, forbid_unknown_fields=True):
    """A colour that a background can have."""

    rgb: tuple[int, int, int]
    """sRGB, 0 to 255."""
    weight: float = 1
    """How often it is chosen, against the others."""
    words: list[str] = []
    """What it is called; its name alone when empty."""


class SceneWords(Struct, frozen=True, forbid_unknown_fields=True):
    """How one scene is told."""

    phrases: list[str]
    """What follows a subject that is in it."""
    alone: list[str]
    """What it is called when nothing is in it."""
    ground: bool
    """Whether subjects stand on its ground; else they float."""


class Vocabulary(Struct, frozen=True, forbid_unknown_fields=True):
    """What `vocabulary.toml` holds; it says what each table is for."""

    openings: list[str]
    fillers: list[str]
    adjectives: list[str]
    heads: list[str]
    never_drawn: list[str]
    hats: dict[str, float]
    counts: dict[int, list[str]]
    looks: dict[Look, list[str]]
    irregular_plurals: dict[str, str]
    subject_hues: dict[str, float]
    colours: dict[str, Colour]
    scenes: dict[str, SceneWords]


@cache
def vocabulary() -> Vocabulary:
    """The tables, read once."""
    return msgspec.toml.decode(TABLES.read_bytes(), type=Vocabulary, strict=False)


def colour_word(random: Random, name: str) -> str:
    """One of the words for the colour `name`."""
    return random.choice(vocabulary().colours[name].words or [name])


def plural(name: str) -> str | None:
    """`name` as people say it of several; None for one that is plural already or cannot be counted."""
    *before, last = name.split(" ")
    irregular = vocabulary().irregular_plurals
    is_plural = last.endswith("s") and not last.endswith("ss") and last not in irregular
    if is_plural or name in tables().uncounted or any(word in WITHOUT_PLURAL for word in (*before, last)):
        return None
    return " ".join([*before, irregular.get(last) or _regular_plural(last)])


def _regular_plural(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def with_article(random: Random, phrase: str, name: str) -> str:
    """`phrase`, whose noun is the subject's `name`, with an article that suits it, or at times with none."""
    if random.random() < 0.15:
        return phrase
    if name in UNIQUE:
        return random.choice(["the ", "a ", ""]) + phrase
    if name in tables().uncounted or (name.endswith("s") and not name.endswith(("ss", "us"))):
        return random.choice(["", "", "some "]) + phrase
    first = phrase.split(" ", 1)[0]
    if first[0] in "aeiou" and first not in SOUNDS_AS_CONSONANT:
        return f"an {phrase}"
    return random.choice(["a ", "a ", "a ", "the ", "one "]) + phrase
