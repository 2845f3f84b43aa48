"""The first-run tour: one screen that says what to press first."""

from typing import Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

TEXT: Final = """\
Welcome. Three panes: the prompt, the settings, the picture.

  Type what the picture shows, and press Enter.
  Esc goes to the picture; there, single letters act on it:
      i begins with it, m paints a mask on it, v varies it,
      r recalls its settings, y copies its path, d throws it away.
      8 g makes eight pictures.
  Tab goes to the settings; the last line explains each of them.

  F3 gallery   F4 queue   F5 models   F6 sweep   F7 settings   F8 log
  So do 2 to 7 where nothing is typed, and Alt+2 to Alt+7 everywhere.
  F1 lists the keys that work where you are; ^P finds commands by name.

Every picture is saved at once, in {pictures}
F10 leaves; the engine goes on, and `latentty` comes back to it."""


class TourScreen(ModalScreen[None]):
    """Any of a few keys begins the work."""

    DEFAULT_CSS = """
    TourScreen { align: center middle; }
    TourScreen VerticalScroll {
        width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 1 2;
        border: round $accent; border-title-color: $accent; background: $background; scrollbar-size-vertical: 1;
    }
    TourScreen Static { height: auto; }
    """
    BINDINGS = [Binding("escape,enter,space,q", "dismiss", "Begin", id="tour.close")]

    def __init__(self, pictures: str) -> None:
        """`pictures` is the folder where they go, as people write it."""
        super().__init__()
        self._pictures = pictures

    def compose(self) -> ComposeResult:
        """The text."""
        with VerticalScroll() as box:
            box.border_title = "Latentty"
            box.border_subtitle = "Enter begins"
            yield Static(TEXT.format(pictures=self._pictures), markup=False)
