"""A one-line path on the engine's box."""

from textual.reactive import reactive
from textual.widgets import Input

from tui.library.paths import expanded
from tui.protocol.library import FileKind


class PathInput(Input):
    """Takes a path, `~` and relative ones too; says why not while one types."""

    complaint: reactive[str | None] = reactive(None)
    """Why the text is not possible; None when it is."""

    def __init__(
        self,
        label: str,
        explanation: str,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
        required: bool = False,
        kind: FileKind | None = None,
    ) -> None:
        """With `kind`, the library has files that fit."""
        self.kind = kind
        self.explanation = explanation
        """A line of help."""
        self._label = label
        self._required = required
        super().__init__(placeholder="none" if not required else "a path", compact=True, id=id)

    def on_mount(self) -> None:
        """A cursor that blinks would send bytes for ever."""
        self.cursor_blink = False
        self.watch_value(self.value)

    @property
    def path(self) -> str:
        """The whole path; empty when there is none."""
        text = self.value.strip()
        return str(expanded(text).absolute()) if text else ""

    def watch_value(self, value: str) -> None:
        """Check as one types."""
        if self._required and not value.strip():
            self.complaint = f"{self._label} is needed here, and none is given."
        elif "\0" in value:
            self.complaint = f"{self._label} cannot hold a NUL."
        elif len(value) > 4096:
            self.complaint = f"{self._label} is longer than 4096 characters."
        else:
            self.complaint = None
        self.set_class(self.complaint is not None and bool(value), "-wrong")
        if value and not self.has_focus:
            self.call_after_refresh(self._show_end)

    def _show_end(self) -> None:
        """The end of a path tells more than its beginning."""
        self.cursor_position = len(self.value)
        self.scroll_to(x=self.virtual_size.width, animate=False, force=True)
