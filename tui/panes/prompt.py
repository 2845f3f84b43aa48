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

    def action_submit(self) -> None:
        """Ask for the picture."""
        self.post_message(self.Submitted())

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")


class PromptPane(Vertical):
    """Two text areas."""

    def compose(self) -> ComposeResult:
        """The prompt above, the negative prompt below it."""
        prompt = PromptArea(id="prompt", compact=True, placeholder="What the picture shows. Enter draws it.")
        prompt.border_title = "Prompt"
        negative = PromptArea(id="negative", compact=True, placeholder="What it should not show.")
        negative.border_title = "Negative"
        yield prompt
        yield negative

    @property
    def prompt(self) -> str:
        """What the picture shows."""
        return self.query_one("#prompt", PromptArea).text.strip()

    @property
    def negative_prompt(self) -> str:
        """What it should not show."""
        return self.query_one("#negative", PromptArea).text.strip()

    def fill(self, prompt: str, negative_prompt: str) -> None:
        """Replace both texts."""
        for name, text in (("#prompt", prompt), ("#negative", negative_prompt)):
            area = self.query_one(name, PromptArea)
            area.text = text
            area.move_cursor(area.document.end)
