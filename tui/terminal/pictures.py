"""All pictures on one terminal: the way they are shown, the slots they are in, the pump that brings them there."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from tui.terminal.choice import Choice, Preview, Protocol, choose, possible
from tui.terminal.flow import FencedFlow, Flow, SteadyFlow
from tui.terminal.multiplexer import ask_tmux, is_seen
from tui.terminal.probe import cell_pixels
from tui.terminal.pump import Cover, Pump
from tui.terminal.slot import Slot, Stage
from tui.terminal.stand_ins import StandIns
from tui.terminal.terminal import Terminal
from tui.terminal.text_writers import AsciiWriter, HalfBlockWriter, NothingWriter
from tui.terminal.writer import Area, Writer

STEADY: Final = 128_000
"""Bytes of picture a second where the terminal cannot be asked how far it is: what a line of one megabit carries."""

STEADY_TEXT: Final = 512_000
"""The same for pictures that are text, of which tmux leaves out what a slow terminal cannot follow."""


SCREENFUL: Final = 50_000
"""Bytes of a screen of pictures as text, roughly."""

SOON: Final = 2.5
"""Seconds within which a screenful should come, or the rest of the screen comes first and the pictures follow."""


class Pictures:
    """Used on the event loop only, except where a function says otherwise."""

    def __init__(self, terminal: Terminal, wanted: Preview = "auto") -> None:
        self.terminal = terminal
        self.choice = choose(terminal, wanted)
        self.stand_ins = StandIns()
        self._wanted = wanted
        self._write: Callable[[str], None] | None = None
        self._slots: dict[Slot, None] = {}
        self._lost: set[Slot] = set()
        self._running: asyncio.Task[None] | None = None
        self._left_behind = ""
        """What frees the pictures that are kept by terminals which are not seen now."""
        self.text_size = 0
        """Characters of text that were written so far."""
        self.on_cover: Cover | None = None
        """Told of cells that pixels are drawn over."""
        self.on_failure: Callable[[BaseException], object] | None = None
        """Told when no picture can be sent any more because of a defect of ours."""
        self.pump = self._new_pump()

    @classmethod
    def as_text(cls) -> "Pictures":
        """For screens that no terminal shows, such as those of tests."""
        return cls(Terminal(is_terminal=True, truecolor=True), "halfblock")

    # ---- where the bytes go ------------------------------------------------------------------------------------

    def connect(self, write: Callable[[str], None]) -> None:
        """The terminal takes bytes from now on; begin to pump."""
        self._write = write
        self._start()

    def disconnect(self) -> str:
        """The terminal takes no more; what must be sent so that it keeps nothing of ours."""
        self._stop()
        last = self._forget_all()
        self._write = None
        for slot in self._slots:
            slot.lose()
        return last

    def send(self, text: str) -> None:
        """Send `text` if there is something to send and a terminal that takes it."""
        if text and self._write is not None:
            self._write(text)

    def _start(self) -> None:
        self._running = asyncio.create_task(self.pump.run(), name="pictures")
        self._running.add_done_callback(self._ended)
        for slot in self._slots:
            if slot.pending:
                self.pump.add(slot)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self.on_failure is not None:
            self.on_failure(error)

    def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            self._running = None

    # ---- slots -------------------------------------------------------------------------------------------------

    def slot(self, stage: Stage) -> Slot:
        """A new slot."""
        slot = Slot(stage, self._changed, self.send)
        self._slots[slot] = None
        return slot

    def close(self, slot: Slot) -> None:
        """`slot` is no longer used."""
        slot.close(self.pump.writer)
        self._slots.pop(slot, None)

    def move(self, slot: Slot, area: Area) -> None:
        """`slot` has another size now."""
        slot.move(self.pump.writer, area)

    def clear(self, slot: Slot) -> None:
        """`slot` shows nothing."""
        slot.clear(self.pump.writer)

    def _changed(self, slot: Slot) -> None:
        """Something is to be sent; where nothing is pumped, it is drawn at once."""
        if self._write is not None:
            self.pump.add(slot)
        elif slot.wanted is not None and self.pump.writer.paced_by_lines and self._running is None:
            slot.pending = False
            slot.drawing = self.pump.writer.draw(slot.wanted.image, slot.wanted.area, live=slot.wanted.live)
            slot.stage.repaint(0, slot.wanted.area.rows)

    # ---- what happens to the screen ----------------------------------------------------------------------------

    def frame_written(self) -> None:
        """A frame of text was written: see which pictures it replaces or destroys, and which can be sent now."""
        for slot in self._slots:
            slot.painted(self.pump.writer)
        if self.is_slow:
            self._lose_unseen()
        if self.overlay:
            for slot in self._slots:
                if slot.drawing is not None:
                    self._watch(slot)
        self.pump.look_again()

    @property
    def is_slow(self) -> bool:
        """Whether pictures are text, and the line so slow that the rest of a screen must not wait for them."""
        return not self.shows_pixels and self.pump.flow.seconds(SCREENFUL) > SOON

    def _lose_unseen(self) -> None:
        """Pictures on a screen that was left come row by row when it is seen again, not at once with its text."""
        for slot in self._slots:
            if slot.drawing is not None and not slot.stage.is_seen():
                slot.lose()
                self.pump.add(slot)

    def _watch(self, slot: Slot) -> None:
        """Text that lies over pixels wipes them out, and they do not move with it: they are sent again."""
        if not slot.stage.is_seen() or slot.stage.is_hidden():
            slot.lose()
            slot.stage.repaint(0, slot.wanted.area.rows if slot.wanted is not None else 0)
            self.pump.add(slot)
        elif slot.stage.is_covered():
            self._lost.add(slot)
        elif slot in self._lost or slot.drawn_at != slot.stage.origin():
            self._lost.discard(slot)
            slot.send_again()

    def send_again(self) -> None:
        """Send every picture anew."""
        for slot in self._slots:
            slot.send_again()

    def acknowledged(self) -> bool:
        """A fence was answered; False when none was out."""
        return self.pump.flow.acknowledged()

    # ---- which way ---------------------------------------------------------------------------------------------

    @property
    def cell(self) -> tuple[int, int]:
        """A cell's pixels; a common size where the terminal does not tell."""
        width, height = self.terminal.cell_width, self.terminal.cell_height
        return (width, height) if width and height else (10, 20)

    @property
    def overlay(self) -> bool:
        """Whether pictures lie over the cells."""
        return self.pump.writer.overlay

    @property
    def shows_pixels(self) -> bool:
        """Whether pictures are shown in all their pixels, not as text."""
        return not self.pump.writer.paced_by_lines

    def use(self, wanted: Preview) -> Choice:
        """Show pictures another way from now on; which way that is."""
        self._wanted = wanted
        return self._choose()

    def use_next(self) -> Choice:
        """Show pictures the next way that this terminal seems to know."""
        ways: list[Protocol] = possible(self.terminal)
        here = ways.index(self.choice.protocol) if self.choice.protocol in ways else -1
        return self.use(ways[(here + 1) % len(ways)])

    async def look_at_tmux(self) -> Choice | None:
        """See whether tmux is seen in another terminal now; the new way if so, which is then used."""
        if self.terminal.tmux is None or self._write is None:
            return None
        tmux = await asyncio.to_thread(ask_tmux, os.environ)
        if tmux is None or not tmux.client or tmux == self.terminal.tmux:
            return None
        if tmux.client != self.terminal.tmux.client:
            self._left_behind += self._forget_all()
        width, height = cell_pixels()
        self.terminal = replace(self.terminal, tmux=tmux, cell_width=width, cell_height=height)
        choice = self._choose()
        if choice.protocol == "kitty":
            self.send(self._left_behind)
            self._left_behind = ""
        return choice

    @property
    def is_seen(self) -> bool:
        """Whether, as far as is known, somebody looks on."""
        return self.terminal.tmux is None or is_seen(self.terminal.tmux)

    def _choose(self) -> Choice:
        connected = self._write is not None
        self._stop()
        self.send(self._forget_all())
        self.choice = choose(self.terminal, self._wanted)
        self._lost.clear()
        self.pump = self._new_pump()
        if connected:
            self._start()
        for slot in self._slots:
            slot.lose()
            slot.stage.show_again()
        return self.choice

    def _forget_all(self) -> str:
        """What to send so that the terminal keeps nothing, not even what it has a part of."""
        writer, sending = self.pump.writer, self.pump.sending
        self.pump.sending = None
        begun = writer.forget(sending) if sending is not None else ""
        return begun + "".join(slot.forget(writer) for slot in self._slots)

    def _new_pump(self) -> Pump:
        writer = self._writer()
        flow: Flow = FencedFlow()
        if self.terminal.between == "tmux" or self.terminal.answered is None:
            flow = SteadyFlow(STEADY_TEXT if writer.paced_by_lines else STEADY)
        return Pump(writer, flow, self.send, self._cover, lambda: self.text_size)

    def _cover(self, column: int, row: int, columns: int, rows: int) -> None:
        if self.on_cover is not None:
            self.on_cover(column, row, columns, rows)

    def _writer(self) -> Writer:
        match self.choice.protocol:
            case "kitty":
                from tui.terminal.kitty import KittyWriter

                return KittyWriter(self.stand_ins, tmux=self.terminal.tmux is not None)
            case "sixel":
                from tui.terminal.sixel import SixelWriter  # it brings numpy, which nobody else needs

                return SixelWriter()
            case "iterm2":
                from tui.terminal.iterm2 import ITerm2Writer

                return ITerm2Writer()
            case "halfblock":
                return HalfBlockWriter(quadrants=self.terminal.is_known)
            case "ascii":
                return AsciiWriter()
            case "off":
                return NothingWriter()
