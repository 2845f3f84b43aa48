"""The prompt pane: what the picture shows, and what it should not."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import TextArea


class PromptArea(TextArea):
    """Text to draw. Enter draws it; Ctrl+J begins a new line."""

    BINDINGS = [
        Binding("enter", "submit", "Generate", show=False, priority=True, id="prompt.submit"),
        Binding("ctrl+j,alt+enter,shift+enter", "new_line", "New line", show=False, id="prompt.new_line"),
    ]

    class Submitted(Message):
        """Enter was pressed."""

    def on_mount(self) -> None:
        """A cursor that blinks would send bytes for ever."""
        self.cursor_blink = False

    def action_submit(self) -> None:
        """Ask for the picture."""
        self.post_message(self.Submitted())

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")


class PromptPane(Vertical):
    """Two text areas."""

    def __init__(self) -> None:
        super().__init__()
        self._prompt = PromptArea(id="prompt", compact=True, placeholder="What the picture shows. Enter draws it.")
        self._prompt.border_title = "Prompt"
        self._negative = PromptArea(id="negative", compact=True, placeholder="What it should not show.")
        self._negative.border_title = "Negative"

    def compose(self) -> ComposeResult:
        """The prompt above, the negative prompt below it."""
        yield from (self._prompt, self._negative)

    @property
    def prompt(self) -> str:
        """What the picture shows."""
        return self._prompt.text.strip()

    @property
    def negative_prompt(self) -> str:
        """What it should not show."""
        return self._negative.text.strip()

    def fill(self, prompt: str, negative_prompt: str) -> None:
        """Replace both texts."""
        for area, text in ((self._prompt, prompt), (self._negative, negative_prompt)):
            area.text = text
            area.move_cursor(area.document.end)
