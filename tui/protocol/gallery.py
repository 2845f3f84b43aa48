"""The gallery's part of the protocol: what is known about a picture, and pages of them."""

from typing import Final, Literal, get_args

from msgspec import Struct

from tui.protocol.events import Picture

Sort = Literal["newest", "oldest", "model", "largest", "favourites"]
"""The order of a page; whatever is alike comes newest first."""

SORTS: Final[tuple[Sort, ...]] = get_args(Sort)


class PictureInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture, and what the gallery knows about it besides."""

    picture: Picture
    prompt: str = ""
    """What it shows, at most its first 500 characters."""
    model: str = ""
    mode: str = ""
    favourite: bool = False
    tags: list[str] = []
    """In alphabetical order."""
    trashed: float | None = None
    """When it was thrown away, in seconds since the epoch."""


class PicturePage(Struct, frozen=True, kw_only=True):
    """A part of what was found."""

    total: int
    """How many pictures were found in all."""
    pictures: list[PictureInfo]
