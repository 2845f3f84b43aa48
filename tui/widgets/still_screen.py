"""A screen that is not drawn anew, with all its pictures, whenever another widget has the focus."""

from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget


class StillScreen(Screen[ScreenResultType]):
    """Base of screens with pictures on them."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """What has the focus; that widget and the one before draw themselves."""
