"""A one-line number with the range of its field."""

from math import isfinite
from typing import Final

from textual.binding import Binding
from textual.reactive import reactive
from textual.widgets import Input

from tui.protocol.fields import Field

STEP_HELP: Final = "A step less or more, until one types"


class NumberInput(Input):
    """Takes what its field takes; says why not while one types. While all of it is selected, left and right step it."""

    BINDINGS = [
        Binding("left", "cursor_left", "Less", show=False, id="number.less", tooltip=STEP_HELP),
        Binding("right", "cursor_right", "More", show=False, id="number.more", tooltip=STEP_HELP),
    ]

    complaint: reactive[str | None] = reactive(None)
    """Why the text is not possible; None when it is."""

    def __init__(self, field: Field, value: float | None, *, empty: str = "", id: str | None = None) -> None:  # noqa: A002
        """With `empty`, no text at all is possible too, and means what `empty` says."""
        self.field = field
        self._may_be_empty = bool(empty)
        super().__init__(
            value=_text(value),
            placeholder=empty,
            type="integer" if field.whole else "number",
            compact=True,
            valid_empty=bool(empty),
            select_on_focus=True,
            id=id,
        )

    def on_mount(self) -> None:
        """A cursor that blinks would send bytes for ever."""
        self.cursor_blink = False

    @property
    def number(self) -> float | None:
        """The number, or None while the text is empty or none."""
        try:
            return int(self.value) if self.field.whole else float(self.value)
        except ValueError:
            return None

    def set_number(self, number: float | None) -> None:
        """Show `number`."""
        self.value = _text(number)

    def action_cursor_left(self, select: bool = False) -> None:
        """A step less; where one types, a letter to the left."""
        if select or not self._step(-1):
            super().action_cursor_left(select)

    def action_cursor_right(self, select: bool = False) -> None:
        """A step more; where one types, a letter to the right."""
        if select or not self._step(1):
            super().action_cursor_right(select)

    def _step(self, by: int) -> bool:
        """Take the number a step on, if all of it is selected; whether it did."""
        if self.number is None or not isfinite(self.number) or self.selected_text != self.value:
            return False
        self.set_number(self.field.stepped(self.number, by))
        self.select_all()
        return True

    def watch_value(self, value: str) -> None:
        """Check as one types."""
        if self._may_be_empty and not value:
            self.complaint = None
        elif self.number is None:
            self.complaint = f"{self.field.label} must be a {'whole ' if self.field.whole else ''}number."
        else:
            self.complaint = self.field.complaint(self.number)
        self.set_class(self.complaint is not None, "-wrong")


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
