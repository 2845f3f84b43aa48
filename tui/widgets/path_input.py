"""A one-line path on the engine's box."""

from pathlib import Path, PurePath

from rich.segment import Segment
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tui.library.plain_text import plain, shortened
from tui.protocol.library import FileKind
from tui.protocol.paths import PathFound
from tui.widgets.completing_input import Completes, CompletingInput


def whole_path(text: str) -> str:
    """`text` as a path that the engine understands; one that is relative begins where the program was started."""
    return text if text.startswith(("/", "~")) else str(Path(text).absolute())


class PathInput(CompletingInput):
    """Takes a path, `~` and relative ones too; says why not while one types."""

    complaint: reactive[str | None] = reactive(None)
    """Why the text is not possible; None when it is."""

    class Looked(Message):
        """The engine has said whether something is there."""

    def __init__(
        self,
        label: str,
        explanation: str,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
        required: bool = False,
        kind: FileKind | None = None,
        completes: Completes = "file",
    ) -> None:
        """With `kind`, the library has files that fit."""
        self.kind = kind
        self.explanation = explanation
        """A line of help."""
        self.doubt: str | None = None
        """What may be wrong with the text: it is not there now."""
        self._label = label
        self._required = required
        super().__init__(placeholder="none" if not required else "a path", completes=completes, id=id)

    def on_mount(self) -> None:
        """It may have to be filled in."""
        self.watch_value(self.value)

    @property
    def path(self) -> str:
        """The whole path; empty when there is none."""
        text = self.value.strip()
        return whole_path(text) if text else ""

    def watch_value(self, value: str) -> None:
        """Check as one types."""
        super().watch_value(value)
        self.doubt = None
        if self._required and not value.strip():
            self.complaint = f"{self._label} is needed here, and none is given."
        elif "\0" in value:
            self.complaint = f"{self._label} cannot hold a NUL."
        elif len(value) > 4096:
            self.complaint = f"{self._label} is longer than 4096 characters."
        else:
            self.complaint = None
        self.set_class(self.complaint is not None and bool(value), "-wrong")

    def render_line(self, y: int) -> Strip:
        """While nobody types, the whole path where it fits, else its name: a path cut anywhere tells little."""
        width = self.size.width
        if self.has_focus or y or len(self.value) <= width:
            return super().render_line(y)
        name = shortened(plain(PurePath(self.value).name or self.value), max(width - 1, 1))
        return Strip([Segment(name)]).adjust_cell_length(width).apply_style(self.rich_style)

    def take(self, text: str, found: PathFound) -> None:
        """Say what is not there; a folder for pictures is made when it is needed."""
        super().take(text, found)
        if text == self.value and self.completes == "file" and text.startswith(("/", "~")):
            self.doubt = None if found.kind or found.completions else "Nothing is there yet."
            self.post_message(self.Looked())
