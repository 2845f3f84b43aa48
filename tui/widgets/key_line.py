"""The line at the bottom: the keys that work now and what they do, the first ones first, as many as there is room for.

One widget that draws one line. Textual's own footer is a widget a key, all of them made anew at every change of the
focus, which costs more than all the rest of going to another screen.
"""

from typing import Any, Final

from msgspec import Struct
from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

GAP: Final = "  "


class Key(Struct, frozen=True):
    """One key of the line."""

    key: str
    """As Textual calls it."""
    told: str
    """As it is printed on keyboards."""
    does: str
    enabled: bool = True

    @property
    def width(self) -> int:
        """Cells, with the gap after it."""
        return len(self.told) + 1 + len(self.does) + len(GAP)


class KeyLine(Widget):
    """Help, the list of commands at the right, and what fits between them. A click presses the key."""

    DEFAULT_CSS = """
    KeyLine {
        dock: bottom; height: 1; padding: 0 1; background: $footer-background; color: $footer-description-foreground;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._all: list[Key] = []
        self._palette: Key | None = None

    def on_mount(self) -> None:
        """Follow what the screen's keys are."""
        self.screen.bindings_updated_signal.subscribe(self, self._look)

    def _look(self, screen: Screen[object]) -> None:
        """Read the keys anew, but the one that leads to where one is; nothing is drawn when they are the same."""
        bindings, here = screen.active_bindings, f"go('{getattr(screen, 'PLACE', '')}')"
        found: dict[str, Key] = {}
        for active in bindings.values():
            if active.binding.show and active.binding.action != here:
                found.setdefault(active.binding.action, self._key(active.binding, enabled=active.enabled))
        palette = next((self._key(one.binding) for one in bindings.values() if one.binding.action == "commands"), None)
        if (list(found.values()), palette) != (self._all, self._palette):
            self._all, self._palette = list(found.values()), palette
            self.refresh()

    def _key(self, binding: Any, *, enabled: bool = True) -> Key:
        return Key(binding.key, self.app.get_key_display(binding), binding.description, enabled)

    @property
    def keys(self) -> list[Key]:
        """Those that there is room for, without the palette's."""
        room = self.size.width + len(GAP) - (self._palette.width if self._palette is not None else 0)
        fitting: list[Key] = []
        for key in self._all:
            room -= key.width
            if room < 0:
                break
            fitting.append(key)
        return fitting

    def render(self) -> Content:
        """The line."""
        parts: list[tuple[str, str]] = []
        for key in self.keys:
            parts += _drawn(key)
        if self._palette is not None:
            used = sum(len(text) for text, _ in parts)
            parts += [(" " * max(self.size.width + len(GAP) - used - self._palette.width, 0), "")]
            parts += _drawn(self._palette)
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        x = event.get_content_offset_capture(self).x
        if self._palette is not None and x >= self.size.width + len(GAP) - self._palette.width:
            self.app.simulate_key(self._palette.key)
            return
        left = 0
        for key in self.keys:
            if left <= x < left + key.width - len(GAP):
                self.app.simulate_key(key.key)
            left += key.width


def _drawn(key: Key) -> list[tuple[str, str]]:
    style = "$footer-key-foreground" if key.enabled else "dim"
    return [(key.told, style), (f" {key.does}{GAP}", "" if key.enabled else "dim")]
