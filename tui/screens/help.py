"""Help: every key that works now, made from the live bindings."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

INTRODUCTION = (
    "Type what the picture shows and press Enter. The picture forms in the preview and lands in your pictures folder. "
    "The engine does the work: close this window, lose the connection, and it goes on; open Latentty again, and all "
    "is there."
)


class HelpScreen(ModalScreen[None]):
    """What the keys do."""

    CSS_PATH = "help.tcss"
    BINDINGS = [Binding("escape,q", "dismiss", "Close", id="help.close")]

    def __init__(self, bindings: Iterable[ActiveBinding]) -> None:
        super().__init__()
        self._shown = list(bindings)

    def compose(self) -> ComposeResult:
        """An introduction, the program's own keys, and those of whatever has the focus."""
        ours = [one for one in self._shown if isinstance(one.node, App | Screen)]
        with VerticalScroll(id="help-box") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            yield Static(INTRODUCTION, id="introduction")
            yield Static(self._keys(ours))
            yield Static("Where you are", classes="heading")
            yield Static(self._keys(one for one in self._shown if one not in ours))

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
