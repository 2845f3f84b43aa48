"""A list over the screen to choose one thing from, by typing a part of it or by its place."""

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from tui.library.plain_text import plain

MOST = 200
"""Lines that are shown at a time; typing more finds the rest."""

NAME_COUNTS = 1000
"""How much better it is when what is typed fits the name than when it fits the rest of the line."""


class ChooseScreen(ModalScreen[int | None]):
    """Answers with the index of what was chosen; None when nothing was."""

    DEFAULT_CSS = """
    ChooseScreen { align: center top; }
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
        Binding("ctrl+d", "delete", "Delete", priority=True, id="choose.delete", tooltip="Pressed twice: for good"),
    ]

    def __init__(
        self,
        title: str,
        options: list[str],
        hint: str = "part of it",
        letters: str = "",
        *,
        names: list[str] | None = None,
        deletable: int = 0,
        delete: Callable[[int], bool] | None = None,
        current: int | None = None,
        seen: Callable[[int | None], None] | None = None,
        rest: float = 0,
    ) -> None:
        """With `letters`, one for each option, typing one of them chooses at once.

        With `names`, one for each option, an option whose name fits comes before those whose other words do.
        The first `deletable` options can be deleted: `delete` does so and answers whether it could.
        `current` is what holds now: it is marked, and the cursor begins there.
        `seen` is told where the cursor is once it was there for `rest` seconds; None is no option.
        """
        super().__init__()
        self._names = names
        self._deletable = deletable
        self._delete = delete
        self._doomed: int | None = None
        """What the key deletes that is pressed again."""
        self._gone: set[int] = set()
        self._current = current
        self._seen = seen
        self._rest = rest
        self._resting: Timer | None = None
        self._box = Vertical()
        self._letters = letters
        self._title = title
        self._options = [plain(one) for one in options]
        self._input = Input(placeholder=hint, compact=True)
        self._list = OptionList(compact=True)

    def compose(self) -> ComposeResult:
        """What to look for above, what was found below."""
        with self._box:
            self._box.border_title = self._title
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
        self._spare()
        found = [(number, told) for number, told in enumerate(self._options) if number not in self._gone]
        if text:
            matcher = Matcher(text)
            scored = [(self._score(matcher, number), number, told) for number, told in found]
            found = [(number, told) for score, number, told in sorted(scored, key=lambda one: -one[0]) if score > 0]
        self._list.clear_options()
        self._list.add_options([Option(self._line(number, told), id=str(number)) for number, told in found[:MOST]])
        numbers = [number for number, _ in found[:MOST]]
        there = numbers.index(self._current) if self._current in numbers and not text else 0
        self._list.highlighted = there if found else None
        self._tell_seen()

    def _line(self, number: int, told: str) -> Content:
        """An option, with a mark in front where one of them has one."""
        if self._current is None:
            return Content(told)
        return Content(f"✓ {told}" if number == self._current else f"  {told}")

    @on(OptionList.OptionHighlighted)
    def _tell_seen(self) -> None:
        """Tell where the cursor is, when it rests."""
        if self._resting is not None:
            self._resting.stop()
        if (seen := self._seen) is not None:
            self._resting = self.set_timer(self._rest, lambda: seen(self._under_cursor))

    def action_move(self, by: int) -> None:
        """Another line."""
        self._spare()
        if by > 0:
            self._list.action_cursor_down()
        else:
            self._list.action_cursor_up()

    def _score(self, matcher: Matcher, number: int) -> float:
        name = matcher.match(self._names[number]) if self._names is not None else 0
        return NAME_COUNTS * name or matcher.match(self._options[number])

    @property
    def _under_cursor(self) -> int | None:
        place = self._list.highlighted
        return None if place is None else int(self._list.get_option_at_index(place).id or 0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only some lists have what can be deleted."""
        return action != "delete" or self._delete is not None

    def action_delete(self) -> None:
        """Ask whether the line shall be deleted for good; the second time, delete it."""
        number = self._under_cursor
        if number is None or self._delete is None or number >= self._deletable:
            self._box.border_subtitle = "this one was not saved: nothing to delete"
        elif self._doomed != number:
            self._doomed = number
            self._box.border_subtitle = "^D again deletes it for good"
        elif self._delete(number):
            self._gone.add(number)
            self._look()

    def _spare(self) -> None:
        self._doomed = None
        delete = "^D deletes a saved one, " if self._deletable else ""
        self._box.border_subtitle = f"Enter takes, {delete}Esc closes"

    @on(Input.Submitted)
    def _take(self) -> None:
        if self._under_cursor is not None:
            self.dismiss(self._under_cursor)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option.id or 0))
