"""A terminal played by a thread: it answers as kitty, a sixel terminal or a plain one, over a line of any speed.

It takes what the program writes no faster than the line carries, and hands over keys and answers after the line's
delay. Each byte is looked at once, when it comes, and times are taken then, so that what is measured is the program.
"""

import fcntl
import heapq
import itertools
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tui.terminal.kitty import DIACRITICS, PLACEHOLDER

CELL = 9, 17
"""Pixels of a cell, such that 36 rows are 612 pixels high."""
SPAN = 0.005
"""Seconds of the line that are taken from the program at a time, and before the line is free at most."""

NAMES = {"kitty": b"kitty(0.41.1)", "sixel": b"XTerm(379)", "plain": b""}

BEGUN = re.compile(rb"\x1b(?:_G|P|\]1337;)")
"""Where a control string begins that may be a picture, or ask about pictures."""
MAYBE = re.compile(rb"\x1b(?:\](?:1(?:3(?:37?)?)?)?|_)?\Z")
"""What may become such a beginning."""
ENDS = {b"\x1b_G": b"\x1b\\", b"\x1bP": b"\x1b\\", b"\x1b]1337;": b"\x07"}
ASKED = re.compile(rb"\x1b\[>q|\x1b\[16t|\x1b\[\?(\d+)\$p|\x1b\[c|\x1b\[6n")
LONGEST_ASKED = 12

NEVER_SEEN = [chr(code) for code in [*range(0x100, 0x250), *range(0x400, 0x530)] if chr(code).isalpha()]
"""Letters that nothing else shows, so that each is the echo of a key."""


class Output:
    """What came, told apart as it comes: text, pictures, questions."""

    def __init__(self, take_string: Callable[[bytes], None], take_question: Callable[[re.Match[bytes]], None]) -> None:
        self.text = bytearray()
        """All that is no picture."""
        self.size = 0
        """Bytes so far."""
        self.graphics = 0
        """Bytes of pictures so far."""
        self._take_string, self._take_question = take_string, take_question
        self._held = bytearray()
        self._end = b""
        self._searched = 0
        self._asked_until = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        self._held += data
        while self._string() if self._end else self._words():
            pass

    def _words(self) -> bool:
        """Take text up to the next control string; whether one has begun."""
        begun = BEGUN.search(self._held)
        held_back = begun or MAYBE.search(self._held)
        self._end, self._searched = ENDS[begun.group()] if begun else b"", 0
        self._take_text(held_back.start() if held_back else len(self._held))
        return begun is not None

    def _string(self) -> bool:
        """Take a control string, if all of it has come; whether it has."""
        found = self._held.find(self._end, self._searched)
        if found < 0:
            self._searched = max(len(self._held) - 1, 0)
            return False
        whole = bytes(self._held[: found + len(self._end)])
        del self._held[: len(whole)]
        self._end = b""
        asks = whole.startswith(b"\x1b_G") and b"a=q" in whole[:60]
        if not asks and not whole.startswith((b"\x1bP$", b"\x1bP+")):
            self.graphics += len(whole)
        self._take_string(whole)
        return True

    def _take_text(self, size: int) -> None:
        self.text += self._held[:size]
        del self._held[:size]
        for question in ASKED.finditer(self.text, self._asked_until):
            self._asked_until = question.end()
            self._take_question(question)
        self._asked_until = max(self._asked_until, len(self.text) - LONGEST_ASKED)


class Screen:
    """The letters that stand on the screen, each in one cell."""

    PART = re.compile(
        rb"\x1b\[(\d+);(\d+)H|\x1b\[[?<=>]?[\d;]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[\]]|([^\x1b]+)"
    )

    def __init__(self) -> None:
        self._cells: dict[int, dict[int, str]] = {}
        self._at = 1, 1
        self._taken = 0

    def take(self, text: bytearray) -> None:
        """Read what has come of `text` since the last time."""
        for part in self.PART.finditer(text, self._taken):
            if part.end() == len(text):  # there may come more of it
                return
            self._taken = part.end()
            if part[1]:
                self._at = int(part[1]), int(part[2])
            elif part[3]:
                row, column = self._at
                letters = part[3].decode(errors="replace")
                self._cells.setdefault(row, {}).update(enumerate(letters, column))
                self._at = row, column + len(letters)

    @property
    def rows(self) -> list[str]:
        """Its rows from the top."""
        return ["".join(cells.get(one, " ") for one in range(1, max(cells) + 1)) for cells in self._cells.values()]


@dataclass
class Memory:
    """The pictures that a kitty keeps."""

    pictures: dict[int, int] = field(default_factory=dict)
    """Bytes by number."""
    most: int = 0
    loading: int = 0

    def take(self, command: bytes) -> None:
        control, _, payload = command[3:-2].partition(b";")
        told = dict(part.split(b"=", 1) for part in control.split(b",") if b"=" in part)
        match told.get(b"a", b"t"):
            case b"t" | b"T" if told.get(b"a") or self.loading or b"i" in told:
                number = int(told.get(b"i", self.loading or 0))
                if b"i" in told and not (b"a" not in told and number == self.loading):
                    self.pictures[number] = 0
                self.pictures[number] = self.pictures.get(number, 0) + len(payload) * 3 // 4
                self.loading = number if told.get(b"m") == b"1" else 0
            case b"d" if told.get(b"d") == b"I":
                self.pictures.pop(int(told[b"i"]), None)
        self.most = max(self.most, sum(self.pictures.values()))


class PlayedTerminal:
    """A program in a pseudo terminal, and the terminal at its other end."""

    def __init__(
        self,
        *command: str,
        kind: str = "kitty",
        columns: int = 120,
        rows: int = 36,
        rate: float = 0,
        delay: float = 0,
        silent: bool = False,
        answer_after: float = 0,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`rate` in bytes a second (0: any), `delay` one way in seconds; `silent` answers nothing."""
        self.kind, self.rate, self.delay, self.silent, self.answer_after = kind, rate, delay, silent, answer_after
        self.master, slave = pty.openpty()
        self.resize(columns, rows, slave)
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLORTERM", "TMUX", "STY")}
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "tests.terminal.show"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=inherited | {"TERM": "xterm-256color", "SSH_CONNECTION": "a b"} | (environment or {}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            cwd=Path(__file__).parents[2],
        )
        self.slave = slave
        self.output = Output(self._take_string, self._take_question)
        self.screen = Screen()
        self.memory = Memory()
        self.taken_too_early = 0
        self._placed, self._placed_at = 0, 0
        self._came = threading.Condition()
        self._typed: list[tuple[float, int, bytes]] = []
        """What is on its way to the program: when it gets there, the order, the keys."""
        self._order = itertools.count()
        self._awaited: dict[bytes, float] = {}
        """Letters whose echo is awaited, and when their key was pressed."""
        self._echoes: list[float] = []
        self._letters = iter(NEVER_SEEN)
        self._looked_until = 0
        self._closed = False
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def resize(self, columns: int, rows: int, descriptor: int | None = None) -> None:
        size = struct.pack("HHHH", rows, columns, columns * CELL[0], rows * CELL[1])
        fcntl.ioctl(self.master if descriptor is None else descriptor, termios.TIOCSWINSZ, size)

    # ---- the line ----------------------------------------------------------------------------------------------

    def _play(self) -> None:
        line: deque[tuple[float, bytes]] = deque()
        free_at = 0.0
        span = max(int(self.rate * SPAN), 64) if self.rate else 65536
        while not self._closed:
            now = time.monotonic()
            while line and line[0][0] <= now:
                self._arrive(line.popleft()[1])
            for keys in self._due(now):
                os.write(self.master, keys)
            takes = [self.master] if free_at - now < SPAN else []
            times = [line[0][0]] if line else []
            times += [] if takes else [free_at - SPAN]
            ready, _, _ = select.select([self._woken, *takes], [], [], self._until(times))
            if self._woken in ready:
                os.read(self._woken, 4096)
            if self.master in ready:
                try:
                    data = os.read(self.master, span)
                except OSError:
                    return
                free_at = max(free_at, time.monotonic()) + (len(data) / self.rate if self.rate else 0)
                line.append((free_at + self.delay, data))

    def _due(self, now: float) -> list[bytes]:
        due: list[bytes] = []
        with self._came:
            while self._typed and self._typed[0][0] <= now:
                due.append(heapq.heappop(self._typed)[2])
        return due

    def _until(self, times: list[float]) -> float | None:
        """Seconds until the first of `times`, or until keys are due; None when nothing is."""
        with self._came:
            times = times + [typed[0] for typed in self._typed[:1]]
        return max(min(times) - time.monotonic(), 0) if times else None

    def _arrive(self, data: bytes) -> None:
        now = time.monotonic()
        with self._came:
            self.output.feed(data)
            if self._awaited:
                new = self.output.text[self._looked_until :]
                for letter in [letter for letter in self._awaited if letter in new]:
                    self._echoes.append(now - self._awaited.pop(letter))
            self._looked_until = max(len(self.output.text) - 4, 0)
            self._came.notify_all()

    def _take_string(self, whole: bytes) -> None:
        if whole.startswith(b"\x1bP$q"):
            self._answer(b"\x1bP1$r0;48:2::1:2:3m\x1b\\" if self.kind != "plain" else b"")
        elif whole.startswith(b"\x1b_G") and b"a=q" in whole[:60]:
            number = re.search(rb"i=(\d+)", whole)
            self._answer(b"\x1b_Gi=%s;OK\x1b\\" % number[1] if number and self.kind == "kitty" else b"")
        elif whole.startswith(b"\x1b_G"):
            self.memory.take(whole)
            self._look_after_cells(whole)

    def _look_after_cells(self, command: bytes) -> None:
        """Count pictures that are taken away before the cells of the one placed last were written."""
        number = re.search(rb"i=(\d+)", command)
        if b"a=p" in command and number:
            self._placed, self._placed_at = int(number[1]), len(self.output.text)
        elif b"a=d" in command and number and self._placed not in (0, int(number[1])):
            third = DIACRITICS[self._placed >> 24]
            cells = self.output.text[self._placed_at :].decode(errors="replace")
            self.taken_too_early += re.search(f"{PLACEHOLDER}[^{PLACEHOLDER}\x1b]{{2}}{third}", cells) is None

    def _take_question(self, question: re.Match[bytes]) -> None:
        match bytes(question.group()):
            case b"\x1b[>q":
                self._answer(b"\x1bP>|" + NAMES[self.kind] + b"\x1b\\" if NAMES[self.kind] else b"")
            case b"\x1b[16t":
                self._answer(b"\x1b[6;%d;%dt" % (CELL[1], CELL[0]) if self.kind != "plain" else b"")
            case b"\x1b[c":
                self._answer(b"\x1b[?62;4;22c" if self.kind == "sixel" else b"\x1b[?62;22c")
            case b"\x1b[6n":
                self._answer(b"\x1b[1;1R")
            case _:
                self._answer(b"\x1b[?%s;0$y" % question[1])

    def _answer(self, answer: bytes) -> None:
        if answer and not self.silent:
            self._put(answer, time.monotonic() + self.delay + self.answer_after)

    def _put(self, keys: bytes, at: float) -> None:
        heapq.heappush(self._typed, (at, next(self._order), keys))

    # ---- the user ----------------------------------------------------------------------------------------------

    def send(self, keys: bytes) -> None:
        with self._came:
            self._put(keys, time.monotonic() + self.delay)
        os.write(self._wake, b".")

    def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Wait for something that comes with output; what does not is looked at now and then."""
        deadline = time.monotonic() + seconds
        with self._came:
            while not true():
                assert time.monotonic() < deadline, bytes(self.output.text[-3000:])
                self._came.wait(0.05)

    def says(self, words: str) -> bool:
        """Whether these words are on the screen."""
        self.screen.take(self.output.text)
        return any(words in row for row in self.screen.rows)

    def quiet(self, seconds: float = 0.5) -> None:
        """Wait until nothing has come for a while."""
        before = -1
        while before != self.output.size:
            before = self.output.size
            time.sleep(seconds)

    def echoes(self, ended: Callable[[], object], every: float = 0.11, seconds: float = 60) -> list[float]:
        """Type a letter `every` so often until `ended()`; the seconds from each key to its echo."""
        deadline = time.monotonic() + seconds
        self._echoes = []
        pressed = 0
        while not ended():
            assert time.monotonic() < deadline
            letter = next(self._letters).encode()
            with self._came:
                self._awaited[letter] = time.monotonic()
            self.send(letter)
            pressed += 1
            time.sleep(every)
        self.until(lambda: not self._awaited, seconds)
        assert len(self._echoes) == pressed
        return self._echoes

    @property
    def graphics(self) -> int:
        """Bytes of pictures so far."""
        return self.output.graphics

    def close(self) -> None:
        self._closed = True
        os.write(self._wake, b".")
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for descriptor in (self.slave, self.master, self._woken, self._wake):
            os.close(descriptor)
