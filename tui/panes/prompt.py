"""The prompt pane: what the picture shows, and what it should not."""

from collections.abc import Iterable
from typing import Final

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static, TextArea

from tui.library.plain_text import plain
from tui.protocol.prompts import EncoderCount, TokenCounts

CHUNK: Final = Style(bold=True, underline=True)
"""The first letter that a text encoder reads in a further chunk."""

LEFT_OUT: Final = Style(strike=True, dim=True)
"""What no text encoder reads any more."""


class PromptArea(TextArea):
    """Text to draw. Enter draws it; Ctrl+J begins a new line."""

    _chunks: tuple[int, ...] = ()
    _end: int | None = None

    BINDINGS = [
        Binding("enter", "submit", "Generate", show=False, priority=True, id="prompt.submit"),
        Binding("escape", "screen.focus_picture", "Picture keys", show=False, priority=True, id="picture.begin"),
        Binding("ctrl+underscore", "undo", "Undo", show=False, id="prompt.undo"),
        Binding("ctrl+j,alt+enter,shift+enter", "new_line", "New line", show=False, id="prompt.new_line"),
    ]

    class Submitted(Message):
        """Enter was pressed."""

    def on_mount(self) -> None:
        """A cursor that blinks would send bytes for ever."""
        self.cursor_blink = False

    def mark(self, chunks: Iterable[int], end: int | None) -> None:
        """Mark the letters where chunks begin, and all from `end` on, which is left out."""
        marks = tuple(chunks), end
        if marks != (self._chunks, self._end):
            self._chunks, self._end = marks
            self.notify_style_update()
            self.refresh()

    def get_line(self, line_index: int) -> Text:
        """A line with its marks."""
        line = super().get_line(line_index)
        before = sum(len(self.document.get_line(number)) + 1 for number in range(line_index))
        for start in self._chunks:
            if 0 <= start - before < len(line):
                line.stylize(CHUNK, start - before, start - before + 1)
        if self._end is not None:
            line.stylize(LEFT_OUT, max(self._end - before, 0))
        return line

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

    @property
    def texts(self) -> tuple[str, str]:
        """Both."""
        return self.prompt, self.negative_prompt

    def show_counts(self, counts: TokenCounts) -> None:
        """How long the prompt is for each text encoder, and what may not be meant in it."""
        self._prompt.border_subtitle = " · ".join(told for one in counts.encoders if (told := _length(one)))
        self._mark(counts)
        self._notice.display = bool(counts.notices)
        if counts.notices:
            one = counts.notices[0]
            self._notice.update(plain(f"letter {one.start + 1}: {one.text}"))

    def _mark(self, counts: TokenCounts) -> None:
        text = self._prompt.text
        blank = len(text) - len(text.lstrip())
        cut = [one.starts[0] for one in counts.encoders if one.cut and one.starts]
        end = max(cut) if cut and len(cut) == len(counts.encoders) else None
        starts = {start for one in counts.encoders for start in one.starts}
        self._prompt.mark(sorted(blank + start for start in starts), blank + end if end is not None else None)

    def append(self, words: str) -> None:
        """Put `words` at the end of the prompt."""
        self.fill(f"{self.prompt} {words}".strip(), self.negative_prompt)

    def fill(self, prompt: str, negative_prompt: str) -> None:
        """Replace both texts; the areas' own undo knows what they were."""
        for area, text in ((self._prompt, prompt), (self._negative, negative_prompt)):
            if area.text != text:
                area.replace(text, (0, 0), area.document.end, maintain_selection_offset=False)
            area.move_cursor(area.document.end)


def _length(count: EncoderCount) -> str:
    """Such as "14/75", "90/75 in 2 chunks" or "90/77, 13 cut"."""
    told = f"{count.tokens}/{count.limit}" if count.limit else f"{count.tokens} tokens"
    if count.cut and count.tokens > count.limit:
        return f"{told}, {count.tokens - count.limit} cut"
    return f"{told} in {len(count.chunks) + 1} chunks" if count.chunks else told
