"""One line of the settings: a label and what can be set."""

from typing import Final

from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Mount
from textual.widget import Widget
from textual.widgets import Label, Select


def row(label: str, *controls: Widget, id: str | None = None) -> Horizontal:  # noqa: A002 - Textual's name
    """`label` with `controls` beside it."""
    return Horizontal(Label(label, classes="label"), *controls, classes="row", id=id)


STEP_HELP: Final = "The one before, the next one"


class Choice(Select[str]):
    """A compact list to choose from, with a line of help. Left and right choose without opening it."""

    BINDINGS = [
        Binding("left", "step(-1)", "Before", show=False, id="choice.before", tooltip=STEP_HELP),
        Binding("right", "step(1)", "Next", show=False, id="choice.next", tooltip=STEP_HELP),
    ]

    def __init__(
        self,
        options: list[tuple[str, str]],
        explanation: str,
        *,
        prompt: str = "",
        value: str | None = None,
        blank: bool = True,
        id: str | None = None,  # noqa: A002 - Textual's name
        classes: str | None = None,
    ) -> None:
        self.explanation = explanation
        """A line of help."""
        if value is None:
            super().__init__(options, compact=True, prompt=prompt, allow_blank=blank, id=id)
        else:
            super().__init__(options, compact=True, prompt=prompt, allow_blank=blank, id=id, value=value)
        if classes is not None:
            self.add_class(classes)

    def _on_mount(self, event: Mount) -> None:
        """Let a list be that the app's end has emptied while it was made; Textual's own would miss what was inside."""
        if not self.query("#label"):
            event.prevent_default()

    @property
    def chosen(self) -> str | None:
        """What is chosen."""
        return self.value if isinstance(self.value, str) else None

    def action_step(self, by: int) -> None:
        """Choose the one before, or the next one; in the open list, keys are those of the list."""
        values = [value for _, value in self._options]
        if not self.expanded and self.value in values:
            self.value = values[min(max(values.index(self.value) + by, 0), len(values) - 1)]

    def offer(self, options: list[tuple[str, str]], chosen: str | None) -> None:
        """Offer `options`, and choose one of them when it is there; nothing is told when nothing changes."""
        names = [name for _, name in options]
        if options != self._offered:
            self._offered = options
            with self.prevent(Select.Changed):
                self.set_options(options)
        if chosen in names and chosen is not None:
            self.value = chosen

    _offered: list[tuple[str, str]] | None = None
