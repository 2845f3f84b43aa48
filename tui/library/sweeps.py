"""Sweeps: reading what is to be varied, and making the jobs of every combination."""

import hashlib
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tui.protocol.fields import job_fields
from tui.protocol.job import Job
from tui.protocol.problem import bad_request
from tui.protocol.sweep import MAX_CELLS, Axis, Sweep

NUMBERS: Final = {
    "steps": "steps",
    "guidance": "guidance_scale",
    "seed": "seed",
    "strength": "strength",
    "width": "width",
    "height": "height",
    "clip-skip": "clip_skip",
}
WORDS: Final = {"scheduler": "scheduler", "model": "model"}
LORA: Final = "lora"
"""The weight of the job's first LoRA; "lora2" is the second's, and so on."""

PROMPT: Final = "prompt"
"""Its first value is looked for in the prompt, and replaced by each of the values, itself first."""

HELP: Final = "steps=4..8:2; scheduler=euler,dpmpp-2m; prompt=fox,crow"


class Cell(Struct, frozen=True):
    """One combination: its values, and the job that draws it."""

    labels: list[str]
    job: Job


def read_axes(text: str) -> list[Axis]:
    """Understand `name=values; name=values`: values are a list with commas, or ranges such as `4..8:2`.

    Raises:
        LatenttyError: something in it cannot be read, or there are too many combinations.
    """
    axes = [_axis(part) for part in text.split(";") if part.strip()]
    if not 1 <= len(axes) <= 3:
        raise bad_request("A sweep varies one to three parameters.", f"Write it as in: {HELP}")
    if len({axis.name for axis in axes}) < len(axes):
        raise bad_request("A parameter is named twice.", "Put all of its values in one list.")
    combinations = 1
    for axis in axes:
        combinations *= len(axis.values)
    if combinations > MAX_CELLS:
        raise bad_request(f"That makes {combinations} pictures, more than {MAX_CELLS}.", "Leave some values out.")
    return axes


def _axis(part: str) -> Axis:
    name, equals, values = part.partition("=")
    name = name.strip().lower()
    if not equals or not (name in NUMBERS or name in WORDS or name == PROMPT or _lora(name) is not None):
        known = ", ".join([*NUMBERS, *WORDS, LORA, PROMPT])
        raise bad_request(f"{part.strip()!r} varies nothing that a sweep knows.", f"Write name=values, of {known}.")
    numeric = name in NUMBERS or _lora(name) is not None
    found: list[str] = []
    for value in (one.strip() for one in values.split(",")):
        if numeric and ".." in value:
            found += _range(name, value)
        elif value:
            found.append(value)
    if not found:
        raise bad_request(f"{name} has no values.", f"Write it as in: {HELP}")
    return Axis(name=name, values=list(dict.fromkeys(found)))


def _range(name: str, text: str) -> list[str]:
    """The numbers of `4..8:2`, both ends included; the step is 1 where none is written."""
    ends, _, step = text.partition(":")
    low, _, high = ends.partition("..")
    try:
        start, stop, by = Decimal(low), Decimal(high), abs(Decimal(step or "1"))
        count = int((abs(stop - start) / by).to_integral_value("ROUND_FLOOR")) + 1
    except (InvalidOperation, ArithmeticError, ValueError):
        raise bad_request(f"{text!r} is no range for {name}.", "Write it as in 4..8:2.") from None
    if count > MAX_CELLS:
        raise bad_request(f"{text!r} has {count} values, more than {MAX_CELLS}.", "Take larger steps.")
    down = -1 if stop < start else 1
    return [f"{(start + down * by * number).normalize():f}" for number in range(count)]


def _lora(name: str) -> int | None:
    """Which of a job's LoRAs is meant, from 0; None when `name` means none."""
    number = name.removeprefix(LORA)
    if not name.startswith(LORA) or (number and not (number.isascii() and number.isdigit() and len(number) < 4)):
        return None
    return max(int(number or "1") - 1, 0)


def cells(sweep: Sweep) -> list[Cell]:
    """Every combination, row by row: the first axis runs across.

    Raises:
        LatenttyError: a value does not fit its parameter.
    """
    found = []
    down = list(product(*(axis.values for axis in reversed(sweep.axes))))
    for number, combination in enumerate(down):
        labels = list(reversed(combination))
        job = replace(sweep.base, count=1, id=_id(sweep, number), file_stem="")
        for axis, value in zip(sweep.axes, labels, strict=True):
            job = _vary(job, axis, value)
        found.append(Cell(labels, job))
    return found


def in_order(found: list[Cell]) -> list[Cell]:
    """`found` as it is drawn: whatever needs the same model, then the same LoRAs, comes together."""
    return sorted(found, key=lambda cell: (cell.job.model, [one.path for one in cell.job.adapters]))


def _id(sweep: Sweep, number: int) -> str:
    return hashlib.sha256(f"{sweep.id}/{number}".encode()).hexdigest()[:16]


def _vary(job: Job, axis: Axis, value: str) -> Job:
    if axis.name in NUMBERS:
        return _with_number(job, NUMBERS[axis.name], value)
    if axis.name in WORDS:
        return replace(job, **{WORDS[axis.name]: value})
    if axis.name == PROMPT:
        return _with_words(job, axis.values[0], value)
    place = _lora(axis.name) or 0
    if place >= len(job.adapters):
        raise bad_request(f"The job has no LoRA number {place + 1}.", "Choose it in the studio first.")
    weight = _number(axis.name, value)
    if not -4 <= weight <= 4:
        raise bad_request(f"A LoRA's weight cannot be {value}.", "It is between -4 and 4.")
    adapters = list(job.adapters)
    adapters[place] = replace(adapters[place], weight=weight)
    return replace(job, adapters=adapters)


def _with_number(job: Job, name: str, value: str) -> Job:
    field, number = job_fields()[name], _number(name, value)
    complaint = field.complaint(number)
    if complaint is not None:
        raise bad_request(complaint)
    return replace(job, **{name: int(value) if field.whole and value.lstrip("-").isdigit() else number})


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise bad_request(f"{value!r} is no number for {name}.") from None
    return int(number) if number == number and abs(number) < 2**53 and number == int(number) else number


def _with_words(job: Job, wanted: str, value: str) -> Job:
    if wanted not in job.prompt:
        raise bad_request(f"The prompt does not say {wanted!r}.", "The first value of prompt= is what is replaced.")
    return replace(job, prompt=job.prompt.replace(wanted, value))
