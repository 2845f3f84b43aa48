"""What there is to draw: the subjects with their names and drawings, as one JSON file beside the sprites."""

from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct, field

from tui.protocol.problem import LatenttyError, Problem

Look = Literal["noto", "glossy", "flat"]
"""The hand that a drawing is of."""

LOOKS: Final[tuple[Look, ...]] = get_args(Look)

FILE: Final = "subjects.json"


class Subject(Struct, frozen=True):
    """Something that pictures show."""

    id: int
    """Its place in the catalogue."""
    unicode: str
    """The emoji's name in Unicode, in small letters."""
    group: str
    """The emoji's group in Unicode."""
    names: list[str]
    """What people call it; the first is the one most used. No two subjects share one."""
    icons: dict[Look, str]
    """The name of its icon in each set that has one."""
    popular: bool


class Drawing(Struct, frozen=True):
    """One sprite, and what composing needs to know of it."""

    subject: int = field(name="s")
    look: Look = field(name="style")
    offset: int = field(name="off")
    """Where its bytes begin in the file of sprites."""
    length: int = field(name="n")
    hue: float
    """The dominant hue, 0 to 1."""
    hue_share: float = field(name="frac")
    """The share of its opaque pixels that are near that hue, 0 to 1."""
    mean: tuple[float, float, float]
    """The mean colour of its opaque pixels, 0 to 1."""
    extent: tuple[float, float] = field(name="wh")
    """Width and height of what is drawn; the longer is 1."""


class Catalogue(Struct, frozen=True):
    """All subjects and drawings, each kind in the order in which others refer to them."""

    subjects: list[Subject]
    drawings: list[Drawing]
    size: int
    """Pixels along a side of every sprite."""


def read_catalogue(folder: Path) -> Catalogue:
    """The catalogue in `folder`.

    Raises:
        LatenttyError: there is none, or it is damaged.
    """
    path = folder / FILE
    hint = f"Make it with: python -m tui.bundled.training prepare {folder}"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Catalogue)
    except OSError as error:
        raise LatenttyError(
            Problem(code="not_found", cause=f"{path} cannot be read: {error.strerror}.", hint=hint)
        ) from None
    except msgspec.DecodeError as error:
        raise LatenttyError(Problem(code="bad_request", cause=f"{path} is no catalogue: {error}.", hint=hint)) from None


def write_catalogue(catalogue: Catalogue, folder: Path) -> None:
    """Write `catalogue` into `folder`."""
    (folder / FILE).write_bytes(msgspec.json.encode(catalogue))
