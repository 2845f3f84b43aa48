"""A place on the screen that shows one picture: what is wanted there, and what is there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from tui.terminal.writer import Area, Drawing, Lines, Writer


class Stage(Protocol):
    """What a slot must know of the widget that it is in, and may ask of it."""

    def is_seen(self) -> bool:
        """Whether the widget is on the screen that is shown, or on one that shines through a dialog."""

    def is_covered(self) -> bool:
        """Whether something lies over the slot."""

    def is_hidden(self) -> bool:
        """Whether something lies over all of it."""

    def origin(self) -> tuple[int, int]:
        """The column and row of the slot's first cell on the terminal, from 0."""

    def repaint(self, first: int, last: int, columns: int | None = None) -> None:
        """Draw the slot's rows from `first` up to `last` again: all their columns, or the first few."""

    def show_again(self) -> None:
        """Find a place for the picture anew, and show it there: the way it is shown is another now."""

    def after_paint(self, call: Callable[[], object]) -> None:
        """Call back once what was to be painted is painted."""


@dataclass(frozen=True)
class Wanted:
    """A picture to be shown."""

    image: Image.Image
    area: Area
    live: bool


class Slot:
    """Shows the newest picture that it was given. Used on the event loop only."""

    def __init__(self, stage: Stage, changed: Callable[["Slot"], None], send: Callable[[str], None]) -> None:
        """`changed` is called when there is something to be sent, `send` with control strings."""
        self.stage = stage
        self.wanted: Wanted | None = None
        """The newest picture; stays so that it can be sent again."""
        self.pending = False
        """Whether what is wanted has not been sent yet."""
        self.drawing: Drawing | None = None
        """What is there, and what its cells hold."""
        self.leaving: list[Drawing] = []
        """What was there before, and must be kept until that is painted."""
        self.drawn_at = (0, 0)
        """Where on the terminal it was sent to."""
        self.closed = False
        self._changed = changed
        self._send = send

    def show(self, image: Image.Image, area: Area, *, live: bool = False) -> None:
        """Show `image` in `area` from now on, as soon as it can be sent."""
        self.wanted, self.pending = Wanted(image, area, live), True
        self._changed(self)

    def clear(self, writer: Writer) -> None:
        """Show nothing."""
        self.wanted, self.pending = None, False
        self._send(self.forget(writer))

    def close(self, writer: Writer) -> None:
        """Show nothing ever again."""
        self.clear(writer)
        self.closed = True

    def send_again(self) -> None:
        """What is wanted is to be sent, even if it was."""
        if self.wanted is not None:
            self.pending = True
            self._changed(self)

    def lose(self) -> None:
        """The terminal has lost what is there."""
        self.drawing = None
        self.leaving.clear()
        self.pending = self.wanted is not None

    def lines(self, area: Area) -> Lines | None:
        """The cells of `area`; None while nothing is there that fits it."""
        return self.drawing.lines if self.drawing is not None and self.drawing.area == area else None

    def move(self, writer: Writer, area: Area) -> None:
        """The slot has another size now: show what is there in the new one if that costs next to nothing."""
        if self.drawing is None or self.drawing.area == area:
            return
        if (drawing := writer.move(self.drawing, area)) is not None:
            self.drawing = drawing
            self._send("".join(piece.text for piece in drawing.pieces))
        elif writer.paced_by_lines and self.wanted is not None:
            few = self.wanted.image.resize((area.columns, 2 * area.rows), Image.Resampling.NEAREST)  # on the event loop
            self.drawing = writer.draw(few, area, live=True)
        else:
            self._send(self.forget(writer))

    def painted(self, writer: Writer) -> None:
        """A frame was written: if it has what is there, what was there before can go."""
        if self.leaving and self.drawing is not None and writer.is_painted(self.drawing):
            self._send("".join(writer.forget(drawing) for drawing in self.leaving))
            self.leaving.clear()

    def forget(self, writer: Writer) -> str:
        """Nothing is there any more; what to send so that the terminal keeps nothing of it."""
        drawings = self.leaving if self.drawing is None else [*self.leaving, self.drawing]
        self.drawing, self.leaving = None, []
        return "".join(writer.forget(drawing) for drawing in drawings)

    def land(self, writer: Writer, wanted: Wanted, drawing: Drawing) -> None:
        """All of `drawing` has been sent: its cells may be painted."""
        if self.closed or self.wanted is None:
            self._send(writer.forget(drawing))
            return
        old, self.drawn_at = self.drawing, self.stage.origin()
        self.drawing = drawing
        if old is not None:
            self.leaving.append(old)
        self.move(writer, self.wanted.area)
        if not writer.overlay or old is None:
            self.stage.repaint(0, wanted.area.rows, writer.columns(old, drawing))
