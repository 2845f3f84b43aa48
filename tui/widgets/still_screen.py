"""A screen that costs little to come back to, and to go about on."""

from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget


class StillScreen(Screen[ScreenResultType]):
    """Base of screens with pictures on them, which fill the terminal."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """What has the focus; that widget and the one before draw themselves, not the screen with all its pictures."""

    def _screen_resized(self, size: Size) -> None:
        """Textual calls it at every change of screens: what has its size already keeps its layout."""
        if size != self._size:  # `size` is the app's, which is the new one already
            super()._screen_resized(size)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now, in the order of the line below: help, the screen's own, those that lead elsewhere.

        What finds no room there is left out; help and the command palette have all of them.
        """
        return dict(sorted(super().active_bindings.items(), key=lambda item: _rank(item[1])))


def _rank(active: ActiveBinding) -> tuple[int, int]:
    """Help, then what has the focus, then its screen, then the app; each in the order in which it names its keys."""
    names = [one.id for one in getattr(type(active.node), "BINDINGS", ()) if isinstance(one, Binding)]
    place = names.index(active.binding.id) if active.binding.id in names else len(names)
    if active.binding.id == "help":
        return 0, 0
    return (3 if isinstance(active.node, App) else 2 if isinstance(active.node, Screen) else 1), place
