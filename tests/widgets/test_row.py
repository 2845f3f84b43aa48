"""A list to choose from holds whatever the app does meanwhile."""

import pytest
from textual.app import App, ComposeResult
from textual.widgets._select import SelectCurrent

from tui.widgets.row import Choice


class Chooser(App[None]):
    def compose(self) -> ComposeResult:
        yield Choice([("a fox", "fox"), ("a cat", "cat")], "What is drawn.", value="cat")


async def test_a_list_that_the_apps_end_empties_while_it_is_made_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Chooser().run_test() as pilot:
        assert pilot.app.query_one(Choice).chosen == "cat"
        assert pilot.app.query_one(SelectCurrent).label == "a cat"
    monkeypatch.setattr(SelectCurrent, "compose", lambda _: ())
    async with Chooser().run_test() as pilot:
        await pilot.pause()
