"""The npm packages that the data is made from: three sets of icons, and the names and groups of all emoji."""

from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field

from tui.bundled.training.catalogue import Look
from tui.protocol.problem import LatenttyError, Problem

ICON_PACKAGES: Final[dict[Look, str]] = {
    "noto": "@iconify-json/noto",
    "glossy": "@iconify-json/fluent-emoji",
    "flat": "@iconify-json/fluent-emoji-flat",
}
"""Which package draws each look."""

NAMES_PACKAGE: Final = "unicode-emoji-json"

INSTALL: Final = f"npm install --ignore-scripts {' '.join([*ICON_PACKAGES.values(), NAMES_PACKAGE])}"
"""The command that fetches them all."""

T = TypeVar("T")


class Icon(Struct, frozen=True):
    """One icon: what stands inside its `<svg>`, and its box where that is not its set's."""

    body: str
    left: float = 0
    top: float = 0
    width: float | None = None
    height: float | None = None


class Alias(Struct, frozen=True):
    """Another name of an icon."""

    parent: str


class IconSet(Struct, frozen=True):
    """One set of icons, as Iconify ships it."""

    icons: dict[str, Icon]
    aliases: dict[str, Alias] = field(default_factory=dict)
    width: float = 16
    height: float = 16

    def find(self, name: str) -> str | None:
        """The icon that goes by `name` or has it as an alias; None when there is none."""
        if name in self.icons:
            return name
        alias = self.aliases.get(name)
        return alias.parent if alias is not None and alias.parent in self.icons else None

    def svg(self, name: str, pixels: int) -> str:
        """The icon `name` as an SVG of `pixels` × `pixels`."""
        icon = self.icons[name]
        width = self.width if icon.width is None else icon.width
        height = self.height if icon.height is None else icon.height
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{icon.left} {icon.top} {width} {height}" width="{pixels}" height="{pixels}">{icon.body}</svg>'
        )


class Emoji(Struct, frozen=True):
    """An emoji's name and group in Unicode."""

    name: str
    group: str


class Sources(Struct, frozen=True):
    """Everything that the packages hold."""

    emoji: list[Emoji]
    """In Unicode's order."""
    icons: dict[Look, IconSet]


def read_sources(packages: Path) -> Sources:
    """What the packages in the folder `packages` (an npm `node_modules`) hold.

    Raises:
        LatenttyError: one is missing or is not what its name says.
    """
    emoji = _read(packages, f"{NAMES_PACKAGE}/data-by-emoji.json", dict[str, Emoji])
    icons = {look: _read(packages, f"{package}/icons.json", IconSet) for look, package in ICON_PACKAGES.items()}
    return Sources(emoji=list(emoji.values()), icons=icons)


def _read(packages: Path, name: str, kind: type[T]) -> T:
    path = packages / name
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        cause = f"{path} cannot be read: {error.strerror}."
        hint = f"In the folder {packages.parent}, run: {INSTALL}"
        raise LatenttyError(Problem(code="not_found", cause=cause, hint=hint)) from None
    except msgspec.DecodeError as error:
        hint = f"Install the packages anew: {INSTALL}"
        raise LatenttyError(
            Problem(code="bad_request", cause=f"{path} is not as expected: {error}.", hint=hint)
        ) from None
