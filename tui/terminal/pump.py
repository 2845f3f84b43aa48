"""Brings pictures to the terminal: the newest of each slot, a piece at a time, never faster than the line carries."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from tui.terminal.flow import Flow
from tui.terminal.slot import Slot, Wanted
from tui.terminal.writer import Drawing, Piece, Writer

CELL_BYTES: Final = 44
"""What a cell of two colours takes, roughly."""

PAINT_WITHIN: Final = 1.0
"""Seconds that a screen has to paint some rows before the next are asked for."""

Write = Callable[[str], None]

Cover = Callable[[int, int, int, int], object]
"""Told of cells that pixels are drawn over: column and row of the first, how many across and down."""


class Pump:
    """One for each terminal and writer. Runs on the event loop; pictures are encoded in a thread."""

    def __init__(self, writer: Writer, flow: Flow, write: Write, cover: Cover, text_size: Callable[[], int]) -> None:
        """`text_size` tells how much text was written so far: pictures that are text go out with it."""
        self.writer = writer
        self._text_size = text_size
        self.flow = flow
        self._write = write
        self._cover = cover
        self._waiting: dict[Slot, None] = {}
        self._wake = asyncio.Event()
        self.sending: Drawing | None = None
        """What is on its way."""

    def add(self, slot: Slot) -> None:
        """`slot` has something to be sent; the place in the line is kept."""
        self._waiting.setdefault(slot, None)
        self._wake.set()

    def look_again(self) -> None:
        """A slot that could not be served may be served now."""
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            slot = self._next()
            if slot is None:
                self._wake.clear()
                await self._wake.wait()
            else:
                await self._serve(slot)

    def _next(self) -> Slot | None:
        """The slot that has waited longest of those that can be served; it leaves the line."""
        for slot in list(self._waiting):
            if slot.closed or not slot.pending:
                del self._waiting[slot]
            elif slot.stage.is_seen() and not (self.writer.overlay and slot.stage.is_covered()):
                del self._waiting[slot]
                return slot
        return None

    async def _serve(self, slot: Slot) -> None:
        wanted = slot.wanted
        assert wanted is not None
        slot.pending = False
        drawing = await asyncio.to_thread(self.writer.draw, wanted.image, wanted.area, live=wanted.live)
        self.sending = drawing
        if self.writer.paced_by_lines:
            await self._reveal(slot, wanted, drawing)
        elif await self._transmit(slot, wanted, drawing):
            slot.land(self.writer, wanted, drawing)
        self.sending = None

    async def _transmit(self, slot: Slot, wanted: Wanted, drawing: Drawing) -> bool:
        """Send every piece; False when the picture lost its place in the meantime."""
        for group in _groups(drawing.pieces, lambda: self.flow.piece):
            self._write(await self.flow.room())
            if self.writer.overlay and not self._still_fits(slot, wanted):
                slot.pending = slot.wanted is not None
                if slot.pending:
                    self.add(slot)
                return False
            text = "".join(_placed(piece, slot) for piece in group)
            if self.writer.overlay:
                self._cover(*slot.stage.origin(), wanted.area.columns, wanted.area.rows)
            self._write(text + self.flow.sent(len(text)))
        return True

    def _still_fits(self, slot: Slot, wanted: Wanted) -> bool:
        if slot.closed or slot.wanted is None or slot.wanted.area != wanted.area:
            return False
        return slot.stage.is_seen() and not slot.stage.is_covered()

    async def _reveal(self, slot: Slot, wanted: Wanted, drawing: Drawing) -> None:
        """Let the screen paint the picture's rows, a few at a time."""
        if slot.closed or slot.wanted is None or slot.wanted.area != wanted.area:
            return
        lines = slot.lines(wanted.area)
        if lines is None:
            lines = [[] for _ in drawing.lines]
        shown = Drawing(area=wanted.area, lines=lines)
        slot.drawing = shown
        for first, last in _bands(drawing, lambda: self.flow.piece):
            await self.await_room()
            if slot.drawing is not shown:
                return
            lines[first:last] = drawing.lines[first:last]
            await self.carry(partial(slot.stage.repaint, first, last), slot.stage.after_paint)

    async def await_room(self) -> None:
        """Until the line has carried what was sent before."""
        self._write(await self.flow.room())

    async def carry(self, draw: Callable[[], object], after_paint: Callable[[Callable[[], object]], object]) -> None:
        """Draw pictures that are text, and count what the screen then writes; `after_paint` calls when it has."""
        before, painted = self._text_size(), asyncio.Event()
        draw()
        after_paint(painted.set)
        with contextlib.suppress(TimeoutError):  # nothing is painted while another screen is seen
            async with asyncio.timeout(PAINT_WITHIN):
                await painted.wait()
        self._write(self.flow.sent(self._text_size() - before))


def _placed(piece: Piece, slot: Slot) -> str:
    """`piece` with the cursor where it must be, and back again."""
    if piece.row is None:
        return piece.text
    column, row = slot.stage.origin()
    return f"\x1b7\x1b[{row + piece.row + 1};{column + 1}H{piece.text}\x1b8"


def _groups(pieces: Iterable[Piece], size: Callable[[], int]) -> Iterator[list[Piece]]:
    """Pieces that go together: about `size()` bytes."""
    group: list[Piece] = []
    total = 0
    for piece in pieces:
        if group and total + len(piece.text) > size() * 5 // 4:
            yield group
            group, total = [], 0
        group.append(piece)
        total += len(piece.text)
    if group:
        yield group


def _bands(drawing: Drawing, size: Callable[[], int]) -> Iterator[tuple[int, int]]:
    """Rows that go together, from the first up to the last, of about `size()` bytes."""
    first, total = 0, 0
    for row, line in enumerate(drawing.lines):
        cost = len(line) * CELL_BYTES
        if total and total + cost > size():
            yield first, row
            first, total = row, 0
        total += cost
    yield first, len(drawing.lines)
