"""The user's keys: a preset and single keys over it, by the ids of what they do.

`keymap.toml` in the configuration folder looks so; keys are named as Textual names them, several with commas between:

    preset = "vim"
    [keys]
    generate = "ctrl+g,f12"
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from tui.library.bounded import read_toml
from tui.library.private_files import replace_file
from tui.protocol.problem import LatenttyError, Problem

Preset = Literal["default", "vim"]

PRESETS: Final[dict[Preset, dict[str, str]]] = {
    "default": {},
    "vim": {
        "prompt.begin": "p,i,a,escape",
        "settings.begin": "s",
        "picture.older": "right,l",
        "picture.newer": "left,h",
        "picture.undo": "u",
        "gallery.undo": "u",
        "queue.undo": "u",
        "sweep.undo": "u",
        "settings.undo": "u",
        "generate.here": "g,enter",
        "send.img2img": "I",
    },
}
"""Keys by the id of what they do, where a preset differs from what is built in."""

KEY: Final = re.compile(r"(?:(?:ctrl|alt|shift|super)\+)*(?:[a-zA-Z0-9]|[a-z][a-z0-9_]+)")


class Keymap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the keymap file says."""

    preset: Preset = "default"
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        """Every key that differs from what is built in, by the id of what it does."""
        return PRESETS[self.preset] | self.keys


def read_keymap(path: Path) -> Keymap:
    """The keymap in the file at `path`; the default one when there is no file.

    Raises:
        LatenttyError: the file cannot be read, or says something that is no keymap.
    """
    try:
        return read_toml(path, Keymap) if path.exists() else Keymap()
    except (OSError, msgspec.DecodeError) as error:
        raise _unusable(path, f"{error}") from None


def complaints(keymap: Keymap, built_in: Mapping[str, str]) -> list[str]:
    """What cannot be meant in `keymap`, one sentence each; `built_in` has the keys of everything that a key can do."""
    found = []
    for name, keys in keymap.keys.items():
        if name not in built_in:
            found.append(f"Nothing that a key can do is called {name!r}.")
        found += [f"{key!r} is no key, at {name}." for key in keys.split(",") if not KEY.fullmatch(key.strip())]
    return found


def clashes(keymap: Mapping[str, str], groups: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Keys that would do two things in one place; `groups` has the built-in keys of each place by id."""
    found = []
    for place in groups.values():
        meant: dict[str, str] = {}
        for name, keys in place.items():
            for key in (one.strip() for one in keymap.get(name, keys).split(",")):
                if key in meant and meant[key] != name:
                    found.append(f"{key} would mean both {meant[key]} and {name}.")
                meant[key] = name
    return found


def new_clashes(keymap: Mapping[str, str], groups: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The clashes that are there because of `keymap`: what is built in knows which of two meanings goes first."""
    built_in = clashes({}, groups)
    return list(dict.fromkeys(one for one in clashes(keymap, groups) if one not in built_in))


def save_keymap(path: Path, keymap: Keymap) -> None:
    """Write `keymap` to the file at `path`; what is no key or preset in it stays, comments too.

    Raises:
        LatenttyError: the file cannot be written, or holds something else.
    """
    import tomlkit  # a tenth of the time until the app paints, which only saving shall cost
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
        document["preset"] = keymap.preset
        table = document.setdefault("keys", tomlkit.table())
        for name in [name for name in table if name not in keymap.keys]:
            del table[name]
        for name, keys in keymap.keys.items():
            table[name] = keys
        replace_file(path, tomlkit.dumps(document).encode())
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise _unusable(path, f"{error}") from None


def _unusable(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(code="bad_request", cause=f"The keymap {path} cannot be used: {why}.", hint="Correct the file.")
    )
