"""Themes as files: one TOML file each, shipped with the program or the user's own."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field
from textual.color import Color, ColorParseError
from textual.css.constants import VALID_STYLE_FLAGS
from textual.theme import Theme

from tui.library.bounded import read_toml
from tui.library.listing import matches
from tui.library.plain_text import plain
from tui.protocol.problem import LatenttyError, Problem

COLOUR: Final = re.compile(r"(#[0-9a-fA-F]{3,8}|[a-z][a-z_]*|rgb\(\d+, ?\d+, ?\d+\))( \d{1,3}%)?")
"""A colour as a variable may have it, and how much of it."""

LINE: Final = 0.2
"""How much of the foreground is in the lines around panes."""

AUTO: Final = re.compile(r"auto \d{1,3}%")
"""Black or white, whichever can be read on what lies behind, and how much of it."""


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
            if isinstance(colours[name], str) and name != "name" and Color.parse(colours[name]).a < 1:
                raise ColorParseError(f"{name} must be opaque, and {colours[name]!r} is not")
        for name, value in told.variables.items():
            _check_variable(name, value)
        theme = Theme(**colours | {"name": plain(told.name)})
        theme.to_color_system().generate()  # some variables are made from others, which must be whole colours then
        return with_lines(theme)
    except (OSError, msgspec.DecodeError, ColorParseError) as error:
        raise LatenttyError(
            Problem(code="bad_request", cause=f"The theme {path} cannot be used: {error}.", hint="Correct the file.")
        ) from None


def with_lines(theme: Theme) -> Theme:
    """`theme` with lines, keys and selections made from its own colours, as far as it says nothing of them itself.

    Textual makes them from others, so that panes have lines that can hardly be seen. A theme of the terminal's own
    colours, or one that does not say its own, stays as it is.
    """
    if theme.background is None or theme.foreground is None:
        return theme
    accent = theme.accent or theme.primary
    background, foreground = Color.parse(theme.background), Color.parse(theme.foreground)
    if any(colour.ansi is not None for colour in (background, foreground, Color.parse(accent))):
        return theme
    made = {
        "border": accent,
        "border-blurred": background.blend(foreground, LINE).hex,
        "footer-background": theme.background,
        "footer-key-foreground": accent,
        "input-selection-background": f"{accent} {30 if theme.dark else 25}%",
        "block-cursor-text-style": "none",
    }
    return replace(theme, variables=made | theme.variables)


def _check_variable(name: str, value: str) -> None:
    """Nothing, when `value` is one of the kind that the variable `name` has.

    Raises:
        ColorParseError: it is another, or there is no such variable.
    """
    usual = _variables().get(name)
    if usual is None:
        raise ColorParseError(f"there is no variable called {name!r}")
    if "style" in name:
        if not value or not set(value.split()) <= VALID_STYLE_FLAGS:
            raise ColorParseError(f"{name} is made of words such as bold or underline, and {value!r} is not")
        return
    if value == usual or (usual.startswith("auto") and AUTO.fullmatch(value)):
        return
    match = COLOUR.fullmatch(value)
    if match is None:
        raise ColorParseError(f"{name} is a colour, such as #ff8800, and {value!r} is none")
    opaque = usual.startswith("#") and Color.parse(usual).a == 1
    if opaque and (match[2] or Color.parse(match[1]).a < 1):
        raise ColorParseError(f"{name} must be opaque, and {value!r} is not")
    Color.parse(match[1])


@cache
def _variables() -> dict[str, str]:
    """Every variable that a theme may change, with what it is in an ordinary one."""
    return Theme(name="", primary="#ffffff").to_color_system().generate()


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
