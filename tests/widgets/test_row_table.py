"""A table whose rows may be drawn before their columns were measured."""

from rich.text import Text
from textual.app import App, ComposeResult

from tui.widgets.row_table import RowTable


class Tabled(App[None]):
    def compose(self) -> ComposeResult:
        yield RowTable()


async def test_a_row_that_was_drawn_too_soon_is_drawn_anew_once_its_column_is_as_wide() -> None:
    app = Tabled()
    async with app.run_test() as pilot:
        table = app.query_one(RowTable)
        table.add_column("Model", key="model")
        await pilot.pause()
        table.add_row(Text("emoji"), key="one")
        await pilot.pause()
        table.update_cell("one", "model", Text("emoji-tiny"), update_width=True)
        assert "emoji-tiny" not in table.render_line(1).text
        await pilot.pause()
        assert "emoji-tiny" in table.render_line(1).text
