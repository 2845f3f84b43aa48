"""Help: every key that works now, made from the live bindings."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static


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
                    yield Static(self._keys(bindings))

    def _keys(self, bindings: Iterable[ActiveBinding]) -> Table:
        """A line for each action: its keys and what they do."""
        keys: dict[str, list[str]] = {}
        for active in bindings:
            told = active.binding.tooltip or active.binding.description
            if told:
                keys.setdefault(told, []).append(self.app.get_key_display(active.binding))
        table = Table.grid(padding=(0, 3, 0, 0))
        table.add_column(min_width=16)
        for told, names in keys.items():
            table.add_row(Text("  ".join(names), "bold"), Text(told))
        return table
