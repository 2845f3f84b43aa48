"""What a picture's file tells about its making, whichever program wrote it."""

from typing import Any

from msgspec import Struct


class Recalled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a picture's making that a job can take over, and the rest."""

    source: str
    """The program that wrote it, such as "ComfyUI"; empty when the file tells nothing."""
    fields: dict[str, Any] = {}
    """Fields of :class:`tui.protocol.job.Job` with their values as plain data, such as `{"steps": 20}`.

    `model` is the file's own name for it, which may not be on this box; `adapters` likewise name their files.
    """
    unmapped: dict[str, str] = {}
    """What was told and fits no field, by its name there."""
    width: int = 0
    """Of the picture itself, in pixels."""
    height: int = 0
    text: str = ""
    """The parameters as text, as the program wrote them, for those who want to read it all."""
