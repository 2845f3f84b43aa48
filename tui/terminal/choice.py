"""Which way of showing pictures suits a terminal, and why. A pure function of what is known."""

import re
from typing import Final, Literal, get_args

from msgspec import Struct

from tui.terminal.terminal import Terminal

Protocol = Literal["kitty", "iterm2", "sixel", "halfblock", "ascii", "off"]
"""A way to put pictures onto a terminal."""

PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)

Preview = Literal["auto", "kitty", "iterm2", "sixel", "halfblock", "ascii", "off"]
"""What the user may ask for."""

PLACEHOLDERS_SINCE: Final = (0, 28)
"""The first kitty that ties pictures to text cells, so that they move and vanish with the text."""

PASSTHROUGH_HINT: Final = "For real pictures inside tmux: tmux set -g allow-passthrough on"

_VERSION = re.compile(r"(\d+)\.(\d+)")


class Choice(Struct, frozen=True, kw_only=True):
    """A way to show pictures."""

    protocol: Protocol
    reason: str
    """Why this one, one sentence."""
    advice: str = ""
    """How to get a better one, one sentence; empty when there is none."""


def choose(terminal: Terminal, wanted: Preview = "auto") -> Choice:
    """The best way that `terminal` has, or the one that the user wants."""
    best = _best(terminal)
    if wanted == "auto" or wanted == best.protocol:
        return best
    reason = f"The setting preview says {wanted}."
    if wanted in ("kitty", "iterm2", "sixel") and not terminal.is_terminal:
        return Choice(protocol="off", reason="There is no terminal to show pictures on.")
    unsure = wanted in ("kitty", "iterm2", "sixel") and wanted not in possible(terminal)
    return Choice(
        protocol=wanted,
        reason=reason,
        advice=f"The terminal does not seem to know {wanted}; if nothing shows, set preview to auto." if unsure else "",
    )


def possible(terminal: Terminal) -> list[Protocol]:
    """Every way that `terminal` seems to know, the best first."""
    ways: list[Protocol] = []
    if terminal.is_terminal and terminal.between in ("", "tmux"):
        if not _why_not_kitty(terminal):
            ways.append("kitty")
        if _is_iterm(terminal):
            ways.append("iterm2")
        if _has_sixel(terminal):
            ways.append("sixel")
    if terminal.colours:
        ways.append("halfblock")
    return [*ways, "ascii", "off"]


def _best(terminal: Terminal) -> Choice:
    if not terminal.is_terminal:
        return Choice(protocol="off", reason="There is no terminal to show pictures on.")
    best = possible(terminal)[0]
    name = terminal.outer or terminal.term
    match best:
        case "kitty":
            way = " through tmux" if terminal.tmux else ""
            return Choice(protocol="kitty", reason=f"{name} shows pictures in text cells, as kitty does{way}.")
        case "iterm2":
            return Choice(protocol="iterm2", reason=f"{name} shows pictures as iTerm2 does.")
        case "sixel":
            return Choice(protocol="sixel", reason=f"{name} says that it takes sixels.")
        case "halfblock":
            return Choice(protocol="halfblock", reason=_why_blocks(terminal), advice=_advice(terminal))
        case _:
            return Choice(
                protocol="ascii",
                reason="The terminal shows no colours, or they are not wanted.",
                advice="Unset NO_COLOR, or set TERM to what the terminal is, such as xterm-256color.",
            )


def _why_blocks(terminal: Terminal) -> str:
    match terminal.between:
        case "tmux":
            return f"tmux hands no pictures on to {terminal.outer or 'the terminal'}."
        case "screen" | "mosh":
            return f"{terminal.between} hands on text only."
        case "browser":
            return "The browser shows text only."
    if terminal.answered is None:
        return "The terminal did not say what it can do."
    return f"{terminal.name or terminal.term} knows no pictures that can be relied on."


def _advice(terminal: Terminal) -> str:
    if terminal.tmux is not None:
        outside = _why_not_kitty_outside(terminal.tmux.outer)
        return PASSTHROUGH_HINT if not outside and not terminal.tmux.passthrough else _BETTER
    if terminal.between in ("screen", "mosh"):
        return "Real pictures need plain SSH, with or without tmux."
    if terminal.between == "browser":
        return ""
    if terminal.answered is None:
        return "If the connection is slow, try again, or say what it is: preview = kitty or sixel in the settings."
    return _BETTER


_BETTER: Final = "kitty 0.28 or later, Ghostty, WezTerm and iTerm2 show real pictures."


def _why_not_kitty(terminal: Terminal) -> str:
    """Why kitty's way will not do; empty when it will."""
    if terminal.tmux is not None:
        if not terminal.tmux.passthrough:
            return "tmux hands on nothing"
        return _why_not_kitty_outside(terminal.tmux.outer)
    if terminal.between:
        return terminal.between
    return _why_not_kitty_outside(terminal.name) if terminal.kitty_graphics else "it does not answer as kitty does"


def _why_not_kitty_outside(name: str) -> str:
    """The same for a terminal by its name: many know kitty's pictures, few tie them to text cells."""
    lowered = name.lower()
    if lowered.startswith(("ghostty", "xterm-ghostty")):
        return ""
    if lowered.startswith(("kitty", "xterm-kitty")):
        version = _VERSION.search(lowered)
        old = version is not None and (int(version[1]), int(version[2])) < PLACEHOLDERS_SINCE
        return "kitty before 0.28 cannot tie pictures to text" if old else ""
    return f"{name or 'the terminal'} cannot tie pictures to text"


def _is_iterm(terminal: Terminal) -> bool:
    return not terminal.between and terminal.name.lower().startswith(("iterm2", "wezterm"))


def _has_sixel(terminal: Terminal) -> bool:
    if not (terminal.sixel and terminal.cell_width and terminal.cell_height):
        return False
    return terminal.tmux is None or "sixel" in terminal.tmux.features
