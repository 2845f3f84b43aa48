"""The prompt pane: what the picture shows, and what it should not."""

from collections.abc import Iterable
from typing import Final

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.document._document import Location
from textual.message import Message
from textual.widgets import Static, TextArea

from tui.library.plain_text import plain
from tui.protocol.prompts import EncoderCount, PastPrompt, TokenCounts

CHUNK: Final = Style(bold=True, underline=True)
"""The first letter that a text encoder reads in a further chunk."""

LEFT_OUT: Final = Style(strike=True, dim=True)
"""What no text encoder reads any more."""


OLDER_HELP: Final = "A line up, or what was drawn before"
NEWER_HELP: Final = "A line down, or back to what was written"


class PromptArea(TextArea):
    """Text to draw. Enter draws it; Ctrl+J begins a new line; Up and Down go on to what was drawn before."""

    past: tuple[str, ...] = ()
    """What was drawn before, the newest first, each once."""

    _chunks: tuple[int, ...] = ()
    _end: int | None = None
    _draft = ""
    """What was written before one began to walk through the past."""
    _place = 0
    """How far back the text is that was walked to: 0 is the draft."""
    _walked: tuple[str, Location] | None = None
    """The text that was walked to, with the cursor as it was left; what differs was changed since."""

    BINDINGS = [
        Binding("enter", "submit", "Generate", show=False, priority=True, id="prompt.submit"),
        Binding("escape", "screen.focus_picture", "Picture keys", show=False, priority=True, id="picture.begin"),
        Binding("ctrl+underscore", "undo", "Undo", show=False, id="prompt.undo"),
        Binding("up", "cursor_up", "Up", show=False, id="prompt.older", tooltip=OLDER_HELP),
        Binding("down", "cursor_down", "Down", show=False, id="prompt.newer", tooltip=NEWER_HELP),
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

    def action_cursor_up(self, select: bool = False) -> None:
        """A line up, or on to an older text."""
        if select or not self._walk(1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A line down, or back to a newer text."""
        if select or not self._walk(-1):
            super().action_cursor_down(select)

    def _walk(self, by: int) -> bool:
        """Show a text that is `by` older, where the cursor is on the edge or one is walking already; whether it did."""
        walking = self._walked == (self.text, self.cursor_location)
        row = self.wrapped_document.location_to_offset(self.cursor_location).y
        if not walking and row != (0 if by > 0 else self.wrapped_document.height - 1):
            return False
        if self._walked is None or self.text != self._walked[0]:
            self._draft, self._place = self.text, 0
        texts = [self._draft, *(one for one in self.past if one != self._draft)]
        if not 0 <= self._place + by < len(texts):
            return False
        self._place += by
        self.put(texts[self._place])
        self._walked = self.text, self.cursor_location
        return True

    def put(self, text: str) -> None:
        """Replace all of it; the area's own undo knows what it was."""
        if self.text != text:
            self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end)


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
        self._prompt.put(prompt)
        self._negative.put(negative_prompt)

    def remember(self, past: list[PastPrompt]) -> None:
        """Let Up and Down walk through `past`, the newest first, before what they walk through already."""
        for area, texts in (
            (self._prompt, [one.prompt for one in past]),
            (self._negative, [one.negative_prompt for one in past]),
        ):
            area.past = tuple(dict.fromkeys(text for text in (*texts, *area.past) if text))


def _length(count: EncoderCount) -> str:
    """Such as "14/75", "90/75 in 2 chunks" or "90/77, 13 cut"."""
    told = f"{count.tokens}/{count.limit}" if count.limit else f"{count.tokens} tokens"
    if count.cut and count.tokens > count.limit:
        return f"{told}, {count.tokens - count.limit} cut"
    return f"{told} in {len(count.chunks) + 1} chunks" if count.chunks else told
