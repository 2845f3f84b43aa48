"""Themes as files: one TOML file each, shipped with the program or the user's own."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct, field
from textual.color import Color, ColorParseError
from textual.theme import Theme

from tui.library.bounded import read_toml
from tui.library.listing import matches
from tui.protocol.problem import LatenttyError, Problem


class ThemeFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a theme file may say: Textual's colour names, and its variables by name."""

    name: str
    primary: str
    dark: bool = True
    secondary: str | None = None
    accent: str | None = None
    success: str | None = None
    warning: str | None = None
    error: str | None = None
    foreground: str | None = None
    background: str | None = None
    surface: str | None = None
    panel: str | None = None
    variables: dict[str, str] = field(default_factory=dict)


def read_theme(path: Path) -> Theme:
    """The theme in the file at `path`.

    Raises:
        LatenttyError: the file cannot be read, or says something that is no theme.
    """
    try:
        told = read_toml(path, ThemeFile)
        colours = msgspec.structs.asdict(told)
        for name in ThemeFile.__struct_fields__:
            if isinstance(colours[name], str) and name != "name":
                Color.parse(colours[name])
        return Theme(**colours)
    except (OSError, msgspec.DecodeError, ColorParseError) as error:
        raise LatenttyError(
            Problem(code="bad_request", cause=f"The theme {path} cannot be used: {error}.", hint="Correct the file.")
        ) from None


def read_themes(folders: Iterable[Path]) -> tuple[list[Theme], list[Problem]]:
    """The themes in `folders`, a later one replacing an earlier of the same name, and what was wrong with others."""
    themes: dict[str, Theme] = {}
    problems: list[Problem] = []
    for path in (path for folder in folders for path in matches(folder, "*.toml")):
        try:
            theme = read_theme(path)
            themes[theme.name] = theme
        except LatenttyError as error:
            problems.append(error.problem)
    return list(themes.values()), problems


def signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Something that changes whenever a theme in `folder` does: names, times and sizes."""
    found = []
    for path in matches(folder, "*.toml"):
        try:
            stat = path.stat()
        except OSError:
            continue  # it has gone in the meantime
        found.append((path.name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)
