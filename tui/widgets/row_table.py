"""A table whose Enter is the screen's, which says in its footer what it does."""

from collections.abc import Iterable
from typing import Self

from rich.text import Text
from textual.binding import Binding
from textual.geometry import Region
from textual.widgets import DataTable
from textual.widgets.data_table import RowKey


class RowTable(DataTable[Text], inherit_bindings=False):
    """Moves by keys, Home and End to the first row and the last; a click tells which row is meant."""

    DEFAULT_CSS = """
    RowTable { background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    RowTable:focus { background-tint: transparent; }
    RowTable > .datatable--cursor { background: $accent 15%; color: $foreground; text-style: none; }
    RowTable:focus > .datatable--cursor { background: $accent 30%; color: $foreground; text-style: none; }
    RowTable > .datatable--header { background: $background; color: $text-muted; text-style: none; }
    """
    BINDINGS = [
        *(one for one in DataTable.BINDINGS if not (isinstance(one, Binding) and one.key in ("enter", "home", "end"))),
        Binding("home", "scroll_top", "First line", show=False),
        Binding("end", "scroll_bottom", "Last line", show=False),
    ]

    _changes_row = False

    def _update_dimensions(self, new_rows: Iterable[RowKey]) -> None:
        """Forget lines that were drawn before their columns were measured, as happens when a screen is gone to."""
        super()._update_dimensions(new_rows)
        self._clear_caches()
        self.refresh()

    def change(self, row: str, column: str, text: Text) -> None:
        """Another text in a column of fixed width: only its row is drawn anew, which a slow line notices."""
        self._changes_row = True
        self.update_cell(row, column, text)
        self._changes_row = False
        self.refresh_row(self.get_row_index(row))

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw anew; nothing but what is named while one row changes."""
        if self._changes_row and not regions:
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
