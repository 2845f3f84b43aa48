"""Which keys there are, what they do, and which of them work in the same place."""

from collections.abc import Iterable
from typing import Any, Final

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from tui.panes.adapter_rows import AdapterRow
from tui.panes.preview import PreviewPane
from tui.panes.prompt import PromptArea
from tui.panes.settings import SettingsPane
from tui.screens.gallery import GalleryScreen
from tui.screens.studio import StudioScreen
from tui.screens.sweep import SweepScreen
from tui.widgets.picture_grid import PictureGrid

KEY_HELP: Final[dict[str, str]] = {}
"""What each key does, by its id; filled together with :func:`built_in_keys`."""


def built_in_keys(app: type[App[Any]]) -> dict[str, str]:
    """The keys of everything of ours that a key can do, by id: of the app, and of every screen, pane and widget."""
    found: dict[str, str] = {}
    for kind in (app, *_all(Widget)):
        if kind.__module__.startswith("tui."):
            _gather(kind, found)
    return found


def _all(kind: type[Widget]) -> Iterable[type[Widget]]:
    for one in kind.__subclasses__():
        yield one
        yield from _all(one)


def _gather(kind: type[Any], found: dict[str, str]) -> None:
    for binding in kind.__dict__.get("BINDINGS", ()):
        if isinstance(binding, Binding) and binding.id is not None:
            found[binding.id] = binding.key
            KEY_HELP[binding.id] = (binding.tooltip or "").strip() or binding.description


WITHIN: Final[dict[type[Widget], tuple[type[Screen[Any]], ...]]] = {
    PreviewPane: (StudioScreen,),
    PromptArea: (StudioScreen,),
    SettingsPane: (StudioScreen,),
    AdapterRow: (StudioScreen,),
    PictureGrid: (GalleryScreen, SweepScreen),
}
"""The widgets with keys of their own, and the screens that they are part of."""


def keys_by_place(app: type[App[Any]]) -> dict[str, dict[str, str]]:
    """The built-in keys that work beside each other, by id: on each screen, and in each part of one."""
    everywhere = _keys(app)
    screens = {kind: everywhere | _keys(kind) for kind in _all(Screen) if kind.__module__.startswith("tui.")}
    places = {kind.__name__: keys for kind, keys in screens.items()}
    for widget, within in WITHIN.items():
        for screen in within:
            places[f"{screen.__name__}.{widget.__name__}"] = screens[screen] | _keys(widget)
    return places


def _keys(kind: type[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("tui."):
            _gather(one, found)
    return found
