"""One line that asks for a text: a label, an input, gone when it is answered."""

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from tui.widgets.completing_input import Completes, CompletingInput


class AskLine(Horizontal):
    """Hidden until :meth:`ask`; Enter answers, Escape leaves it."""

    DEFAULT_CSS = """
    AskLine { height: 1; display: none; background: $panel; padding: 0 1; }
    AskLine Label { width: auto; color: $accent; padding-right: 1; }
    AskLine Input { width: 1fr; background: $panel; }
    """
    BINDINGS = [
        Binding("escape", "leave", "Back", id="ask.leave"),
        Binding("tab", "complete", "Complete", id="ask.complete", tooltip="Take the rest of the path that is offered"),
    ]

    class Answered(Message):
        """The user pressed Enter."""

        def __init__(self, line: "AskLine", purpose: str, value: str) -> None:
            super().__init__()
            self.line, self.purpose, self.value = line, purpose, value

        @property
        def control(self) -> "AskLine":
            """The line that asked."""
            return self.line

    class Typed(Message):
        """The text is another."""

        def __init__(self, purpose: str, value: str) -> None:
            super().__init__()
            self.purpose, self.value = purpose, value

    class Left(Message):
        """The user pressed Escape, or has answered: the focus goes elsewhere."""

        def __init__(self, line: "AskLine") -> None:
            super().__init__()
            self.line = line

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._label = Label(markup=False)
        self._input = CompletingInput(select_on_focus=False)
        self._purpose = ""

    def compose(self) -> ComposeResult:
        """Label and input."""
        yield self._label
        yield self._input

    def ask(self, purpose: str, label: str, value: str = "", hint: str = "", completes: Completes = "") -> None:
        """Ask; `purpose` comes back with the answer. Paths on the engine's box can be completed."""
        self._purpose = purpose
        self._input.completes = completes
        self._label.update(label)
        self._input.value, self._input.placeholder = value, hint
        self._input.cursor_position = len(value)
        self.display = True
        self._input.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only paths are completed."""
        return action != "complete" or bool(self._input.completes)

    def action_complete(self) -> None:
        """Take what is offered."""
        self._input.action_end()
        self._input.action_cursor_right()

    def action_leave(self) -> None:
        """Ask no more."""
        self.display = False
        self.post_message(self.Left(self))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Typed(self._purpose, event.value))

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_leave()
        self.post_message(self.Answered(self, self._purpose, event.value))
