"""A one-line input that can take a path on the engine's box, and offers how it may go on."""

from typing import Any, Literal

from textual.message import Message
from textual.suggester import SuggestionReady
from textual.timer import Timer
from textual.widgets import Input

from tui.library.plain_text import plain
from tui.protocol.paths import PathFound

REST = 0.15
"""Seconds without typing after which the engine is asked: an answer for every letter would be wasted."""

Completes = Literal["", "file", "folder"]
"""What is completed: nothing, or paths of which only folders may be wanted."""


class CompletingInput(Input):
    """Asks what lies where its text leads; the key → takes the rest that is offered."""

    class Asked(Message):
        """What is there? The answer is for :meth:`CompletingInput.take`."""

        def __init__(self, place: "CompletingInput", text: str) -> None:
            super().__init__()
            self.place, self.text = place, text

    def __init__(self, *, completes: Completes = "", **options: Any) -> None:
        self.completes: Completes = completes
        self._resting: Timer | None = None
        super().__init__(compact=True, **options)

    def on_mount(self) -> None:
        """A cursor that blinks would send bytes for ever."""
        self.cursor_blink = False

    def watch_value(self, value: str) -> None:
        """Ask once typing rests."""
        if self._resting is not None:
            self._resting.stop()
        if self.completes and self.has_focus and value:
            self._resting = self.set_timer(REST, lambda: self.post_message(self.Asked(self, value)))

    def take(self, text: str, found: PathFound) -> None:
        """Offer what was found for `text`, if that is what is typed still."""
        if text == self.value and found.completions and plain(found.completions[0]) == found.completions[0]:
            self.post_message(SuggestionReady(text, found.completions[0]))
