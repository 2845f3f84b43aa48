"""A prompt as a whole: what it says step by step, what it needs of a model, and what is wrong with it."""

import re
from collections.abc import Iterator

from msgspec import Struct

from tui.library.prompt.brackets import MAX_NESTED, pair
from tui.library.prompt.composition import subprompts
from tui.library.prompt.emphasis import Weighted, unescaped, weigh
from tui.library.prompt.notices import Notice
from tui.library.prompt.numbers import DECIMAL
from tui.library.prompt.schedules import Stage, changes, stages
from tui.library.prompt.tags import lora_tags, without_use

_NUMBERED = re.compile(r":\s*+(?P<number>[+-]?[.\d]*+)\s*+\)")
_PLAIN_NUMBER = re.compile(DECIMAL)
_WEIGHT = re.compile(rf":\s*+{DECIMAL}\s*+\)")
MAX_WEIGHT = 10.0


class Composed(Struct, frozen=True):
    """One of the prompts that are joined by AND, over all steps."""

    weight: float
    stages: list[Stage]


def read(prompt: str, steps: int) -> list[Composed]:
    """What `prompt` says in each of `steps` steps; any text says something."""
    return [Composed(one.weight, stages(one.text, steps)) for one in subprompts(prompt)]


def is_plain(prompt: str) -> bool:
    """Whether every word of `prompt` weighs the same, in every step, in one chunk as far as it fits."""
    composed = read(prompt, 100)
    if len(composed) > 1 or len(composed[0].stages) > 1:
        return False
    return weigh(composed[0].stages[0].text) == [Weighted(unescaped(prompt))]


def notices(prompt: str) -> list[Notice]:
    """What may not be meant, in the order of its place."""
    deep = pair(prompt).too_deep
    if deep is not None:
        text = f"no bracket can stand inside of more than {MAX_NESTED} others."
        return [Notice(start=deep, end=deep + 1, text=text, kind="error")]
    found = [*lora_tags(prompt)[1], *without_use(prompt), *_brackets(prompt), *_weights(prompt), *_schedules(prompt)]
    return sorted(found, key=lambda notice: (notice.start, notice.end))


def _brackets(prompt: str) -> Iterator[Notice]:
    for place in pair(prompt).stray:
        if prompt[place] in "([":
            yield Notice(start=place, end=place + 1, text="this bracket is never closed: it reaches to the end.")
        else:
            yield Notice(start=place, end=place + 1, text="nothing is opened that this bracket closes: it is text.")


def _weights(prompt: str) -> Iterator[Notice]:
    closed = {close: start for start, close in pair(prompt).closing.items()}
    for match in _NUMBERED.finditer(prompt):
        if match.end() - 1 not in closed:
            continue
        number = match["number"]
        if not _PLAIN_NUMBER.fullmatch(number):
            text = f"{number!r} is no number: write a weight as (word:1.2)."
            yield Notice(start=match.start(), end=match.end(), text=text, kind="error")
        elif abs(float(number)) > MAX_WEIGHT:
            text = f"a weight of {number} is beyond {MAX_WEIGHT:g}, where nothing sensible comes."
            yield Notice(start=match.start(), end=match.end(), text=text, kind="error")
        elif closed[match.end() - 1] + 1 == match.start():
            yield Notice(start=match.start(), end=match.end(), text="there is no word that this weight is for.")


def _schedules(prompt: str) -> Iterator[Notice]:
    for change in changes(prompt, pair(prompt)):
        if change.when and float(change.when) < 0:
            yield Notice(start=change.start, end=change.end, text="a prompt changes at a step from 0 on.", kind="error")
        elif "." in change.when and float(change.when) > 1:
            text = f"{change.when} is more than all steps, so this never changes; a step is a whole number."
            yield Notice(start=change.start, end=change.end, text=text)


class Feature(Struct, frozen=True):
    """A use of the language that not every model family understands."""

    start: int
    end: int
    name: str


def features(prompt: str) -> list[Feature]:
    """The uses that mean nothing to a family whose text encoders are not CLIP; plain brackets are text there."""
    opened = {close: start for start, close in pair(prompt).closing.items()}
    found = [
        Feature(opened[match.end() - 1], match.end(), "weights of words")
        for match in _WEIGHT.finditer(prompt)
        if match.end() - 1 in opened
    ]
    found += [Feature(one.start, one.end, "changes between steps") for one in changes(prompt, pair(prompt))]
    found += [Feature(match.start(), match.end(), match.group()) for match in re.finditer(r"\b(?:AND|BREAK)\b", prompt)]
    return sorted(found, key=lambda feature: feature.start)
