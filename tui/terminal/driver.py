"""Textual's driver for Linux, with pictures: cells get their meaning, fences their answers, late answers no meaning."""

import codecs
import os
import re
import selectors
import signal
import time
from enum import Enum
from typing import Any, Final

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tui.terminal.flow import FENCE
from tui.terminal.pictures import Pictures
from tui.terminal.probe import Probe
from tui.terminal.rows import Rows

ALT_DIGITS: Final = Enum("ALT_DIGITS", {f"Alt{digit}": f"alt+{digit}" for digit in range(10)})  # type: ignore[misc]
"""Alt and a digit, which Textual takes for what Option types on some Macs, such as £."""

assert isinstance(ANSI_SEQUENCES_KEYS, dict)
ANSI_SEQUENCES_KEYS.update({f"\x1b{one.value[-1]}": (one,) for one in ALT_DIGITS})

LEAST: Final = 16
"""Characters of a frame; what is shorter sets a mode or the cursor."""

STYLED: Final = re.compile(r"\x1b\[((?:\d;)*\d);(?=38;2;\d+;\d+;\d+;48;2;)")
"""Bold and the like before both colours, in one sequence of more than ten numbers: mlterm reads ten."""

LATE: Final = 5.0
"""Seconds during which late answers are told apart from keys."""

LAST_FENCE: Final = 1.0
"""Seconds that the last answers may take before the terminal goes to the shell, which would take them for typed."""


def driver_for(pictures: Pictures, probe: Probe | None) -> type[LinuxDriver]:
    """The class of driver that shows `pictures` and goes on where `probe` left off."""

    class OwnDriver(PictureDriver):
        def __init__(self, app: App[Any], **options: Any) -> None:
            super().__init__(app, **options)
            self.pictures, self.probe, self.rows = pictures, probe, Rows()

    return OwnDriver


class PictureDriver(LinuxDriver):
    """Made by :func:`driver_for`, which says what it shows."""

    pictures: Pictures
    probe: Probe | None
    rows: Rows
    _asked = 0
    """Fences sent; counted by the event loop alone."""
    _answered = 0
    """Fences answered; counted by the thread that reads."""
    _to_stop = False
    """A stop was asked for, and no continuation since."""
    _leaving = False
    """The terminal is just being given back for a stop."""

    def write(self, data: str) -> None:
        """Write a frame of Textual's."""
        is_frame = len(data) > LEAST
        if is_frame:
            if not self.pictures.terminal.mixes_colours:  # there, what is drawn again gets its colours back
                data = self.rows.changed(data, self._app.size.width)
            data = STYLED.sub("\x1b[\\1m\x1b[", data)
        data = self.pictures.stand_ins.spell(data)
        super().write(data)
        self.pictures.text_size += len(data)
        if is_frame:
            self.pictures.frame_written()

    def send(self, text: str) -> None:
        """Write what belongs to pictures."""
        if self._writer_thread is not None:
            self._asked += text.count(FENCE)
            self._writer_thread.write(text)

    def start_application_mode(self) -> None:
        """Take the terminal."""
        probe = self.probe
        self.rows.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is not None:
            self._writer_thread._queue.maxsize = 0  # a slow line must never hold up the event loop
            self.pictures.on_cover = self.rows.cover
            self.pictures.connect(self.send)
        if probe is not None and probe.attributes is not None:
            self.attrs_before = list(probe.attributes)

    def stop_application_mode(self) -> None:
        """Give the terminal back, with nothing of ours left in it."""
        last = self.pictures.disconnect()
        if last and self._writer_thread is not None:
            self._writer_thread.write(last)
        until = time.monotonic() + LAST_FENCE
        while self._asked > self._answered and time.monotonic() < until:
            time.sleep(0.01)
        self._asked = self._answered
        super().stop_application_mode()

    def _sigtstp_application(self, *_: object) -> None:
        """Give the terminal back and stop, as the kernel's own action does: not where nobody could continue us.

        Textual sends SIGSTOP, which stops a process for ever whose terminal or shell went away a moment before.
        """
        self._to_stop = self._leaving = True
        if self._auto_restart:
            self.suspend_application_mode()
            self._must_signal_resume = True
        self._leaving = False
        if self._to_stop:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._sigtstp_application)
        if self._must_signal_resume:  # not stopped; otherwise SIGCONT has been here
            self._sigcont_application()

    def _sigcont_application(self, *_: object) -> None:
        """Take the terminal again."""
        self._to_stop = False
        if self._auto_restart and not self._leaving:
            self.resume_application_mode()

    @property
    def backlog(self) -> int:
        """How many writes wait for the terminal."""
        return self._writer_thread._queue.qsize() if self._writer_thread is not None else 0

    def process_message(self, message: Message) -> None:
        """Keep answers to fences from the app. Runs in the thread that reads."""
        if isinstance(message, events.CursorPosition) and self._asked > self._answered:
            self._answered += 1
            self._loop.call_soon_threadsafe(self.pictures.acknowledged)
            return
        super().process_message(message)

    def run_input_thread(self) -> None:
        """Read keys; at first also what the terminal still had to say, and what was typed meanwhile."""
        probe, self.probe = self.probe, None
        if probe is None or (probe.reader.complete and not probe.typed) or probe.attributes is None:
            super().run_input_thread()
            return
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        until = time.monotonic() + (0 if probe.reader.complete else LATE)
        self._feed(parser, probe.typed)
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                text = decode(os.read(self.fileno, 4096)) if selector.select(0.1) else ""
                if time.monotonic() < until and not probe.reader.complete:
                    text = probe.reader.feed(text)
                else:
                    text = probe.reader.give_up() + text
                self._feed(parser, text)

    def _feed(self, parser: XTermParser, text: str) -> None:
        if text:
            for message in parser.feed(text):
                self.process_message(message)
        for message in parser.tick():
            self.process_message(message)
