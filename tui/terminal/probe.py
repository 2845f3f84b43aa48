"""Asks the terminal what it is, before the app starts. The answers may take as long as the app's imports do."""

import fcntl
import os
import select
import struct
import sys
import termios
import time
import tty
from collections.abc import Mapping
from typing import Final, Self

from tui.terminal.answers import KITTY_QUESTION, QUESTIONS, AnswerReader
from tui.terminal.multiplexer import ask_tmux, between, over_ssh
from tui.terminal.terminal import Attributes, Terminal

ANSWER_WITHIN: Final = 1.5
"""Seconds that the terminal has for its answers; what comes later is still known for answers and kept from the user."""

SILENT: Final = ("", "dumb", "linux")
"""Terminals, by TERM, that would print the questions."""

WIPE: Final = "\r\x1b[K"
"""Takes away what a terminal prints that does not know a question."""

_WINDOW = struct.Struct("HHHH")


class Probe:
    """A conversation with the terminal; a context manager, after which the terminal is as it was before.

    ```
    with Probe() as probe:
        probe.ask()
        ...  # whatever takes time
        terminal = probe.terminal()
    ```
    """

    def __init__(
        self, environment: Mapping[str, str] = os.environ, *, input_fd: int | None = None, output_fd: int | None = None
    ) -> None:
        self._environment = environment
        self._in = _descriptor(sys.__stdin__) if input_fd is None else input_fd
        self._out = _descriptor(sys.__stdout__) if output_fd is None else output_fd
        self._asked_at: float | None = None
        self.reader = AnswerReader()
        """What came; goes on to take late answers when the app reads."""
        self.typed = ""
        """What the user typed in the meantime."""
        self.attributes: Attributes | None = None
        """The terminal's mode before; None when it was left alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Put the terminal's mode back."""
        if self.attributes is not None:
            try:
                termios.tcsetattr(self._in, termios.TCSANOW, self.attributes)
            except termios.error:  # it has gone
                return

    def ask(self) -> None:
        """Send the questions, if this is a terminal that may answer."""
        columns, rows, _, _ = self._size()
        if not columns or not rows or self._environment.get("TERM", "") in SILENT:
            return
        try:
            self.attributes = termios.tcgetattr(self._in)
            tty.setcbreak(self._in, termios.TCSANOW)
            kitty = "" if between(self._environment) in ("tmux", "screen") else KITTY_QUESTION
            os.write(self._out, (kitty + QUESTIONS + WIPE).encode())
        except (OSError, termios.error):  # it has gone, or is none after all
            return
        self._asked_at = time.monotonic()

    def terminal(self) -> Terminal:
        """What is known, once the last answer has come or the time for it is up."""
        answered = self._read()
        columns, rows, pixels_across, pixels_down = self._size()
        width, height = self.reader.cell
        if not (width and height) and columns and rows:
            width, height = pixels_across // columns, pixels_down // rows
        way = between(self._environment)
        tmux = ask_tmux(self._environment) if way == "tmux" else None
        told = self._environment.get("COLORTERM", "") in ("truecolor", "24bit")
        return Terminal(
            is_terminal=bool(columns and rows),
            columns=columns,
            rows=rows,
            cell_width=width,
            cell_height=height,
            term=self._environment.get("TERM", ""),
            name=self.reader.name,
            answered=answered,
            kitty_graphics=self.reader.kitty_graphics,
            sixel=self.reader.sixel,
            synchronized=self.reader.synchronized,
            truecolor=told or self.reader.truecolor or tmux is not None,  # tmux gives each terminal what it knows
            colours="NO_COLOR" not in self._environment and self._environment.get("TERM", "") not in ("", "dumb"),
            between=way,
            over_ssh=over_ssh(self._environment),
            tmux=tmux,
        )

    def _read(self) -> float | None:
        """Read until the last answer; the seconds it took, or None when it did not come."""
        if self._asked_at is None:
            return None
        until = self._asked_at + ANSWER_WITHIN
        while not self.reader.complete:
            ready, _, _ = select.select([self._in], [], [], max(until - time.monotonic(), 0))
            data = _read_some(self._in) if ready else b""
            if not data:
                return None
            self.typed += self.reader.feed(data.decode(errors="replace"))
        self.typed += self.reader.give_up()
        return time.monotonic() - self._asked_at

    def _size(self) -> tuple[int, int, int, int]:
        """Columns, rows and pixels, across and down; zeros unless both ends are terminals."""
        return _window(self._out) if os.isatty(self._in) else (0, 0, 0, 0)


def look(environment: Mapping[str, str] = os.environ) -> Terminal:
    """Ask and wait: for programs that do nothing meanwhile."""
    with Probe(environment) as probe:
        probe.ask()
        return probe.terminal()


def cell_pixels() -> tuple[int, int]:
    """A cell's width and height in pixels as the terminal's window tells them now; zeros when it does not."""
    columns, rows, across, down = _window(_descriptor(sys.__stdout__))
    return (across // columns, down // rows) if columns and rows else (0, 0)


def _window(descriptor: int) -> tuple[int, int, int, int]:
    """Columns, rows and pixels, across and down; zeros unless it is a terminal."""
    try:
        told = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(_WINDOW.size))
    except (OSError, ValueError):
        return 0, 0, 0, 0
    rows, columns, across, down = _WINDOW.unpack(told)
    return columns, rows, across, down


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the terminal has gone
        return b""


def _descriptor(stream: object) -> int:
    """The file descriptor of `stream`; -1 when it is closed or has none."""
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return -1
