"""A list over the screen to choose one thing from, by typing a part of it or by its place."""

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from tui.library.plain_text import plain

MOST = 200
"""Lines that are shown at a time; typing more finds the rest."""


class ChooseScreen(ModalScreen[int | None]):
    """Answers with the index of what was chosen; None when nothing was."""

    DEFAULT_CSS = """
    ChooseScreen { align: center top; background: $background 60%; }
    ChooseScreen > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%; margin: 1 0;
        border: round $accent; border-title-color: $accent; background: $background; padding: 0 1;
    }
    ChooseScreen Input { background: $panel; }
    ChooseScreen OptionList {
        height: auto; max-height: 24; border: none; background: $background; padding: 0; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    .-short ChooseScreen OptionList { max-height: 16; }
    """
    BINDINGS = [
        Binding("escape", "dismiss(None)", "Close", id="choose.close"),
        Binding("down", "move(1)", "Down", show=False, priority=True, id="choose.down"),
        Binding("up", "move(-1)", "Up", show=False, priority=True, id="choose.up"),
    ]

    def __init__(self, title: str, options: list[str], hint: str = "part of it", letters: str = "") -> None:
        """With `letters`, one for each option, typing one of them chooses at once."""
        super().__init__()
        self._letters = letters
        self._title = title
        self._options = [plain(one) for one in options]
        self._input = Input(placeholder=hint, compact=True)
        self._list = OptionList(compact=True)

    def compose(self) -> ComposeResult:
        """What to look for above, what was found below."""
        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = "Enter takes, Esc closes"
            yield self._input
            yield self._list

    def on_mount(self) -> None:
        """Everything is offered, and nothing blinks."""
        self._input.cursor_blink = False
        self._list.can_focus = False
        self._look()
        self._input.focus()

    @on(Input.Changed)
    def _look(self) -> None:
        text = self._input.value
        if len(text) == 1 and text in self._letters:
            self.dismiss(self._letters.index(text))
            return
        found = list(enumerate(self._options))
        if text:
            matcher = Matcher(text)
            scored = [(matcher.match(told), number, told) for number, told in found]
            found = [(number, told) for score, number, told in sorted(scored, key=lambda one: -one[0]) if score > 0]
        self._list.clear_options()
        self._list.add_options([Option(Content(told), id=str(number)) for number, told in found[:MOST]])
        self._list.highlighted = 0 if found else None

    def action_move(self, by: int) -> None:
        """Another line."""
        if by > 0:
            self._list.action_cursor_down()
        else:
            self._list.action_cursor_up()

    @on(Input.Submitted)
    def _take(self) -> None:
        if self._list.highlighted is not None:
            self.dismiss(int(self._list.get_option_at_index(self._list.highlighted).id or 0))

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option.id or 0))
