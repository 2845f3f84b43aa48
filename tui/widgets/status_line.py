"""The line at the top: where one is, which model, how full the device is, what the engine is doing."""

from typing import Final

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.library.plain_text import plain, shortened

NAME: Final = "Latentty"
GAP: Final = "   "
PLACE_GAP: Final = "  "

PLACES: Final = ("studio", "gallery", "queue", "models", "sweep", "settings", "log")
"""The screens that a key leads to, in the order of their keys."""

ALL_PLACES_FROM: Final = 120
"""Columns from which on all places are told, not only the one that is seen."""

LEAST: Final = 12
"""Cells that the model gets at least, or it is left out."""


class StatusLine(Widget):
    """The name and the places on the left, the state on the right. Where it is narrow, memory goes first.

    A click on a place leads there.
    """

    model = reactive("")
    mode = reactive("")
    device = reactive("")
    state = reactive("connecting")
    tone = reactive("")
    """A theme colour such as "$warning" when the state needs attention."""

    class Asked(Message):
        """Somebody wants to go to a place."""

        def __init__(self, place: str) -> None:
            super().__init__()
            self.place = place

    def __init__(self, place: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """`place` is where one is."""
        super().__init__(id=id)
        self._place = place

    def render(self) -> Content:
        """The line."""
        places = [
            (f"{PLACE_GAP}{told}", "bold $foreground" if one == self._place else "$foreground-muted")
            for one, told in self._places.items()
        ]
        state = plain(self.state)
        room = self.size.width - len(f" {NAME}{GAP}{state} ") - sum(len(text) for text, _ in places)
        middle = self._middle(room - 1)
        gap = (" " * max(room - len(middle), 1), "")
        ends = [(middle, "$foreground-muted"), (GAP, ""), (state, self.tone or "$foreground"), (" ", "")]
        return Content.assemble((" ", ""), (NAME, "bold $accent"), *places, gap, *ends)

    @property
    def _places(self) -> dict[str, str]:
        """The places that are told, each with its text: in front is the key that leads there."""
        if self.size.width >= ALL_PLACES_FROM:
            return {one: f"{self._key(one, number)} {one.capitalize()}" for number, one in enumerate(PLACES, 1)}
        return {self._place: self._place.capitalize()} if self._place else {}

    def _key(self, place: str, number: int) -> str:
        """The key that leads to `place`, which the user may have changed from its `number`."""
        key = self.app._keymap.get(f"{place}.number", str(number)).partition(",")[0].strip()
        return self.app.get_key_display(Binding(key, ""))

    def _middle(self, room: int) -> str:
        """The model, the mode and the memory in use, as far as there is room."""
        model, device = " · ".join(part for part in (plain(self.model), self.mode) if part), plain(self.device)
        both = GAP.join(part for part in (model, device) if part)
        if len(both) <= room:
            return both
        return shortened(model, room) if room >= LEAST else ""

    def on_click(self, event: events.Click) -> None:
        """Ask for the place under the mouse."""
        left = len(f" {NAME}")
        for place, told in self._places.items():
            left += len(PLACE_GAP)
            if left <= event.x < left + len(told):
                self.post_message(self.Asked(place))
            left += len(told)
