"""`<lora:name:0.8>` in a prompt."""

import re

from msgspec import Struct

from tui.library.prompt.notices import Notice

_TAG = re.compile(r"<(?:lora|lyco):(?P<inside>[^<>]*)>")
_LEFT_OUT = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>")
_TAGS_BEFORE_COMMA = re.compile(rf"(?<=\w)(?:[^\S\n]*{_LEFT_OUT.pattern})+[^\S\n]*(?=,)")
"""After a word: a comma after anything else would be read as one sign with it, which it is not in other programs."""
_WITHOUT_USE = re.compile(r"<hypernet:[^<>]*>")
_OPENED = re.compile(r"<(?:lora|lyco):")
MAX_WEIGHT = 4.0


class LoraTag(Struct, frozen=True, kw_only=True):
    """A LoRA that a prompt asks for."""

    start: int
    end: int
    name: str
    text_weight: float = 1.0
    """On the text encoders."""
    weight: float = 1.0
    """On the denoiser."""


def lora_tags(prompt: str) -> tuple[list[LoraTag], list[Notice]]:
    """The tags of `prompt`, and what is wrong with those that are none."""
    tags: list[LoraTag] = []
    notices: list[Notice] = []
    for match in _TAG.finditer(prompt):
        read = _read(match)
        (tags if isinstance(read, LoraTag) else notices).append(read)  # type: ignore[arg-type]
    whole = {match.start() for match in _TAG.finditer(prompt)}
    for match in _OPENED.finditer(prompt):
        if match.start() not in whole:
            notices.append(_wrong(match, "this tag is never closed."))
    return tags, notices


def _read(match: re.Match[str]) -> LoraTag | Notice:
    name, *numbers = (part.strip() for part in match["inside"].split(":"))
    if not name:
        return _wrong(match, "this tag names no LoRA.")
    if len(numbers) > 2:
        return _wrong(match, "a tag has one weight, or the text encoders' and the denoiser's.")
    try:
        weights = [float(numbers[0].removeprefix("te=")) if numbers else 1.0]
        weights += [float(number.removeprefix("unet=")) for number in numbers[1:]]
    except ValueError:
        return _wrong(match, "a weight is a number, such as 0.8; weights of single blocks are not known.")
    if any(not abs(weight) <= MAX_WEIGHT for weight in weights):
        return _wrong(match, f"a weight is at most {MAX_WEIGHT:g}.")
    return LoraTag(start=match.start(), end=match.end(), name=name, text_weight=weights[0], weight=weights[-1])


def without_use(prompt: str) -> list[Notice]:
    """Tags that other programs know: they are left out."""
    text = "hypernetworks are not drawn with: this is left out."
    return [Notice(start=match.start(), end=match.end(), text=text) for match in _WITHOUT_USE.finditer(prompt)]


def _wrong(match: re.Match[str], text: str) -> Notice:
    return Notice(start=match.start(), end=match.end(), text=text, kind="error")


def without_tags(prompt: str) -> str:
    """`prompt` without its tags, and without the gaps that they leave."""
    if not _LEFT_OUT.search(prompt):
        return prompt
    return re.sub(r" {2,}", " ", _LEFT_OUT.sub("", _TAGS_BEFORE_COMMA.sub("", prompt))).strip()


def tag(name: str, text_weight: float, weight: float) -> str:
    """The tag for a LoRA."""
    numbers = f"{text_weight:g}" if text_weight == weight else f"{text_weight:g}:{weight:g}"
    return f"<lora:{name}:{numbers}>"
