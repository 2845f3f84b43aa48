"""What is sent to the terminal when a long job ends, and how its title is set."""

from collections.abc import Mapping

from tui.library.plain_text import plain
from tui.library.settings import EndSignal
from tui.terminal.kitty import through_tmux

BELL = "\a"
KEEP_TITLE, GIVE_BACK_TITLE = "\x1b[22;2t", "\x1b[23;2t"
"""The terminal puts its title on a stack, and takes it from there again."""


def end_signal(how: EndSignal, text: str, environment: Mapping[str, str]) -> str:
    """The bell, a notification (OSC 9) that says `text`, or both; tmux is asked to pass a notification on."""
    parts = []
    if how in ("osc9", "both"):
        notification = f"\x1b]9;{plain(text)}\a"
        if environment.get("TMUX"):
            notification = through_tmux(notification)
        parts.append(notification)
    if how in ("bell", "both"):
        parts.append(BELL)
    return "".join(parts)


def title(text: str) -> str:
    """The title `text`, for window and tab."""
    return f"\x1b]2;{plain(text)}\a"
