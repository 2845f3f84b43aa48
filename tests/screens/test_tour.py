"""The tour is shown once, on one screen, and leads to the work."""

from pathlib import Path

from tui.app import LatenttyApp
from tui.library.first_run import is_first_run
from tui.library.paths import Paths
from tui.library.settings import load_settings
from tui.screens.studio import StudioScreen
from tui.screens.tour import TourScreen


def test_only_the_first_run_has_a_tour(tmp_path: Path) -> None:
    assert is_first_run(tmp_path / "cache")
    assert not is_first_run(tmp_path / "cache")


async def test_the_tour_fits_a_small_screen_and_a_key_begins(home: Paths) -> None:
    app = LatenttyApp(home, load_settings(home), tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        assert isinstance(app.screen, TourScreen)
        assert app.screen.query_one("VerticalScroll").max_scroll_y == 0
        await pilot.press("enter")
        assert isinstance(app.screen, StudioScreen)
