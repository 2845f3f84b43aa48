"""A table whose Enter is the screen's, which says in its footer what it does."""

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable


class RowTable(DataTable[Text], inherit_bindings=False):
    """Moves by keys; a click tells which row is meant."""

    DEFAULT_CSS = """
    RowTable { background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    RowTable:focus { background-tint: transparent; }
    RowTable > .datatable--cursor { background: $accent 15%; color: $foreground; text-style: none; }
    RowTable:focus > .datatable--cursor { background: $accent 30%; color: $foreground; text-style: none; }
    RowTable > .datatable--header { background: $background; color: $text-muted; text-style: none; }
    """
    BINDINGS = [one for one in DataTable.BINDINGS if not (isinstance(one, Binding) and one.key == "enter")]
