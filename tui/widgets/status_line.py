"""The line at the top: which model, what is made from what, how full the device is, what the engine is doing."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.library.plain_text import plain

NAME = "Latentty"
GAP = "   "


class StatusLine(Widget):
    """The name on the left, the state on the right. Where it is narrow, memory goes first, then the model."""

    model = reactive("")
    mode = reactive("")
    device = reactive("")
    state = reactive("connecting")
    tone = reactive("")
    """A theme colour such as "$warning" when the state needs attention."""

    def render(self) -> Content:
        """The line."""
        state = plain(self.state)
        room = self.size.width - len(NAME) - len(state) - len(GAP) - 2
        told = [" · ".join(part for part in (plain(self.model), self.mode) if part), plain(self.device)]
        while told and len(GAP.join(told)) > room:
            told.pop()
        middle = GAP.join(part for part in told if part)
        gap = " " * max(room - len(middle), 1)
        return Content.assemble(
            " ", (NAME, "bold $accent"), gap, (middle, "$text-muted"), GAP, (state, self.tone or "$foreground"), " "
        )
