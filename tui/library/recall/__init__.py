"""Recall: what a picture's file tells about its making, as fields of a job, whichever program wrote it.

Each reader fills a :class:`tui.library.recall.found.Found`: what fits a job, and, by its name, what does not. Every
text is bounded by :mod:`tui.library.picture_texts`; one that is malformed gives a message or is left as it is.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from tui.library.hidden_text import read_hidden_text
from tui.library.metadata import read_own_text
from tui.library.picture_texts import PictureTexts, own_part, read_texts
from tui.library.recall.a1111 import is_parameters, read_a1111
from tui.library.recall.comfyui import read_comfyui
from tui.library.recall.found import Found
from tui.library.recall.others import (
    json_object,
    read_dgenerate,
    read_draw_things,
    read_fooocus,
    read_invokeai,
    read_novelai,
    read_plain_json,
    read_swarm,
)
from tui.library.recall.ours import read_ours
from tui.protocol.fields import job_fields
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError
from tui.protocol.recall import Recalled

log = logging.getLogger(__name__)

Reader = Callable[[Mapping[str, str], Found], str]
"""Fills `found` from a file's texts; the program that wrote them, or nothing when it was another."""


def recall(path: Path) -> Recalled:
    """What the picture at `path` tells; a picture that tells nothing has no source.

    Raises:
        LatenttyError: it is gone, no picture, or malformed.
    """
    picture = read_texts(path)
    told = recall_texts(picture)
    if not told.source and (hidden := read_hidden_text(path)):
        return recall_texts(replace(picture, texts=picture.texts | {"parameters": hidden}))
    return told


def recall_texts(picture: PictureTexts) -> Recalled:
    """The same, from its texts."""
    source, found = _read(_unfolded(picture.texts))
    _check(found)
    return Recalled(
        source=source,
        fields=found.fields,
        unmapped=found.unmapped,
        width=picture.width,
        height=picture.height,
        text=_text(picture.texts),
    )


def _unfolded(texts: Mapping[str, str]) -> dict[str, str]:
    """`texts`, and those that NovelAI wraps in one where a file has no names for them."""
    for name in ("parameters", "exif"):
        told = json_object(texts.get(name, ""))
        if told is not None and isinstance(told.get("Comment"), str):
            return {key: value for key, value in told.items() if isinstance(value, str)} | dict(texts)
    return dict(texts)


def _read(texts: Mapping[str, str]) -> tuple[str, Found]:
    for reader in READERS:
        found = Found()
        source = reader(texts, found)
        if source:
            return source, found
    return "", Found()


def _ours(texts: Mapping[str, str], found: Found) -> str:
    try:
        text = own_part(texts)
        if text:
            read_ours(read_own_text(text), found)
            return "Latentty"
    except (LatenttyError, msgspec.DecodeError) as error:
        log.info("what a picture of ours should tell is damaged: %s", error)
    return ""


def _parameters(texts: Mapping[str, str], found: Found) -> str:
    for name in ("parameters", "exif", "comment", "description"):
        text = texts.get(name, "")
        if is_parameters(text):
            return read_a1111(text, found)
    return ""


READERS: tuple[Reader, ...] = (
    _ours,
    read_invokeai,
    read_fooocus,
    read_novelai,
    read_dgenerate,
    read_draw_things,
    read_swarm,
    _parameters,
    read_comfyui,
    read_plain_json,
)
"""The first that knows a file reads it: the most particular come first."""


def _text(texts: Mapping[str, str]) -> str:
    return next((texts[name] for name in ("parameters", "exif", "comment") if texts.get(name)), "")


def _check(found: Found) -> None:
    """What is out of range for a job is told, not taken."""
    for name in [*found.fields]:
        value = found.fields[name]
        if job_fields()[name].complaint(value) is not None or not _converts(name, value):
            found.leave(name, value)
            del found.fields[name]


def _converts(name: str, value: Any) -> bool:
    """Whether a job can have `value` as its field `name`."""
    example = {
        "id": "0" * 16,
        "model": "m",
        "width": 64,
        "height": 64,
        "steps": 1,
        "guidance_scale": 1.0,
        "scheduler": "own",
        "seed": 0,
    }
    try:
        msgspec.convert(example | {name: value}, Job)
    except msgspec.ValidationError:
        return False
    return True
