"""Prompts that change while a picture forms: `[from:to:when]` and `[one|other]`, read as A1111 reads them."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from tui.library.prompt.brackets import Pairs, outermost, pair
from tui.library.prompt.numbers import NUMBER


class Stage(Struct, frozen=True):
    """What the prompt says up to a step."""

    until: int
    """The last step, from 1, that it holds for."""
    text: str


class Change(Struct, frozen=True):
    """A schedule or an alternation in a text."""

    start: int
    end: int
    """The place after its bracket."""
    options: list[tuple[int, int]]
    """Where its parts lie; two for a schedule, the first may be empty."""
    when: str = ""
    """A schedule's number as it was written; empty for an alternation."""

    def at_step(self, steps: int) -> int:
        """The last step of a schedule's first part, of `steps` in all; 0 when it is none of them."""
        value = float(self.when)
        return int(min(max(value * steps if "." in self.when else value, 0), steps))


def stages(text: str, steps: int) -> list[Stage]:
    """What `text` says in each of `steps` steps, equal neighbours together.

    Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `get_learned_conditioning_prompt_schedules`.
    """
    pairs = pair(text)
    found = {change.start: change for change in changes(text, pairs)}
    if not found:
        return [Stage(steps, text)]
    told: list[Stage] = []
    for step in range(1, steps + 1):
        now = _said(text, 0, len(text), found, partial(_chosen, step=step, steps=steps))
        if told and told[-1].text == now:
            told[-1] = Stage(step, now)
        else:
            told.append(Stage(step, now))
    return told


def changes(text: str, pairs: Pairs) -> Iterator[Change]:
    """Every schedule and alternation in `text`, in the order of their brackets."""
    for start, close in sorted(pairs.closing.items()):
        if text[start] != "[":
            continue
        bars = outermost(text, start + 1, close, pairs, "|")
        if bars:
            yield Change(start, close + 1, _parts(start, bars, close))
            continue
        colons = outermost(text, start + 1, close, pairs, ":")
        if len(colons) in (1, 2) and NUMBER.fullmatch(text, colons[-1] + 1, close):
            parts = _parts(start, colons, close)[:-1]
            empty = [(start + 1, start + 1)] if len(parts) == 1 else []
            yield Change(start, close + 1, empty + parts, text[colons[-1] + 1 : close].strip())


def _parts(start: int, separators: list[int], close: int) -> list[tuple[int, int]]:
    edges = [start, *separators, close]
    return [(left + 1, right) for left, right in itertools.pairwise(edges)]


def _chosen(change: Change, step: int, steps: int) -> int:
    if change.when:
        return 0 if step <= change.at_step(steps) else 1
    return (step - 1) % len(change.options)


def _said(text: str, start: int, end: int, found: dict[int, Change], choose: Callable[[Change], int]) -> str:
    said: list[str] = []
    left = [(start, end)]
    while left:
        place, end = left.pop()
        while place < end:
            change = found.get(place)
            if change is None:
                said.append(text[place])
                place += 1
            else:
                left.append((change.end, end))
                place, end = change.options[choose(change)]
    return "".join(said)
