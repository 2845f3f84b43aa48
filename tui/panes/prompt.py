"""The prompt pane: what the picture shows, and what it should not."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static, TextArea

from tui.library.plain_text import plain
from tui.protocol.prompts import EncoderCount, TokenCounts


class PromptArea(TextArea):
    """Text to draw. Enter draws it; Ctrl+J begins a new line."""

    BINDINGS = [
        Binding("enter", "submit", "Generate", show=False, priority=True, id="prompt.submit"),
        Binding("escape", "screen.focus_picture", "Picture keys", show=False, id="picture.begin"),
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
        self._notice = Static(id="notice", markup=False)
        self._notice.display = False

    def compose(self) -> ComposeResult:
        """The prompt above, the negative prompt below it."""
        yield from (self._prompt, self._notice, self._negative)

    @property
    def prompt(self) -> str:
        """What the picture shows."""
        return self._prompt.text.strip()

    @property
    def negative_prompt(self) -> str:
        """What it should not show."""
        return self._negative.text.strip()

    def show_counts(self, counts: TokenCounts) -> None:
        """How long the prompt is for each text encoder, and what may not be meant in it."""
        self._prompt.border_subtitle = " · ".join(told for one in counts.encoders if (told := _length(one)))
        self._notice.display = bool(counts.notices)
        if counts.notices:
            one = counts.notices[0]
            self._notice.update(plain(f"letter {one.start + 1}: {one.text}"))

    def append(self, words: str) -> None:
        """Put `words` at the end of the prompt."""
        self.fill(f"{self.prompt} {words}".strip(), self.negative_prompt)

    def fill(self, prompt: str, negative_prompt: str) -> None:
        """Replace both texts."""
        for area, text in ((self._prompt, prompt), (self._negative, negative_prompt)):
            area.text = text
            area.move_cursor(area.document.end)


def _length(count: EncoderCount) -> str:
    """Such as "14/75", "90/75 in 2 chunks" or "90/77, 13 cut"."""
    told = f"{count.tokens}/{count.limit}" if count.limit else f"{count.tokens} tokens"
    if count.cut and count.tokens > count.limit:
        return f"{told}, {count.tokens - count.limit} cut"
    return f"{told} in {len(count.chunks) + 1} chunks" if count.chunks else told
