"""Help: every key that works now, made from the live bindings."""

import string
from collections.abc import Iterable
from typing import Final

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

GAP: Final = "  "

DIGITS: Final = "0 … 9"
"""What is told of all ten."""

KEYS_WIDTH: Final = 18
"""Cells of the keys that do one thing; more of them stand below each other."""


class HelpScreen(ModalScreen[None]):
    """What the keys do."""

    CSS_PATH = "help.tcss"
    BINDINGS = [Binding("escape,q", "dismiss", "Close", id="help.close")]

    def __init__(self, bindings: Iterable[ActiveBinding], about: str = "") -> None:
        """`about` says what the screen is for."""
        super().__init__()
        self._shown = list(bindings)
        self._about = about

    def compose(self) -> ComposeResult:
        """What the screen is for, the keys that work on it, those that work everywhere, and those of editing."""
        ours = [one for one in self._shown if one.binding.id is not None]
        everywhere = [one for one in ours if isinstance(one.node, App)]
        groups = {
            "": [one for one in ours if one not in everywhere],
            "Everywhere": everywhere,
            "Editing": [one for one in self._shown if one not in ours and not isinstance(one.node, App | Screen)],
        }
        with VerticalScroll(id="help-box") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            if self._about:
                yield Static(self._about, id="introduction")
            for heading, bindings in groups.items():
                if heading and bindings:
                    yield Static(heading, classes="heading")
                if bindings:
                    yield Static(_table(self._keys(bindings)))

    def _keys(self, bindings: Iterable[ActiveBinding]) -> dict[str, str]:
        """What can be done, and the keys that do it."""
        keys: dict[str, dict[str, None]] = {}
        for active in bindings:
            told = active.binding.tooltip or active.binding.description
            if told:
                keys.setdefault(told, {})[self.app.get_key_display(active.binding)] = None
        return {told: DIGITS if {*names} == {*string.digits} else GAP.join(names) for told, names in keys.items()}


def _table(keys: dict[str, str]) -> Table:
    """A line for each: its keys, in a column as wide in all groups, and what they do."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=KEYS_WIDTH)
    table.add_column()
    for told, names in keys.items():
        text = Text(names, "bold")
        if cell_len(names) > KEYS_WIDTH:
            text = Text("\n".join(names.split(GAP)), "bold")
        table.add_row(text, Text(told))
    return table
