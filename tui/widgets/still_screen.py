"""A screen that costs little to come back to, and to go about on."""

from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget


class StillScreen(Screen[ScreenResultType]):
    """Base of screens with pictures on them."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """What has the focus; that widget and the one before draw themselves, not the screen with all its pictures."""

    def _screen_resized(self, size: Size) -> None:
        """Textual calls it at every change of screens: what has its size already keeps its layout."""
        if size != self.size:
            super()._screen_resized(size)
