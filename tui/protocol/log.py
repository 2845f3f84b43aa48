"""The engine's log, as it is shown piece by piece."""

from typing import Annotated

from msgspec import Meta, Struct


class LogPlace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a log was read."""

    file: Annotated[int, Meta(ge=0)] = 0
    """Which file it was: the log is rotated."""
    at: Annotated[int, Meta(ge=0)] = 0
    """Bytes from its beginning."""


class LogPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whole lines of it."""

    text: str
    place: LogPlace
    """Where the next part begins."""
