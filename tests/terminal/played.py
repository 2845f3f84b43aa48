"""A terminal played by a thread: it answers as kitty, a sixel terminal or a plain one, over a line of any speed.

It reads what the program writes no faster than the line carries, and hands over keys and answers after the line's
delay. It counts what came: bytes, pictures, what it must keep in memory, and how long a key's echo took.
"""

import fcntl
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
from dataclasses import dataclass, field
from pathlib import Path

CELL = 9, 17
"""Pixels of a cell, such that 36 rows are 612 pixels high."""
BUFFER = 4096
"""Bytes that wait in the line; more are not taken from the program."""

GRAPHICS = re.compile(rb"\x1b_G[^\x1b]*\x1b\\|\x1bP[0-9;]*q[^\x1b]*\x1b\\|\x1b\]1337;[^\x07]*\x07")
UNFINISHED = re.compile(rb"\x1b(_G|P|\]1337)[^\x1b\x07]*\x1b?$")
KITTY = re.compile(rb"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\")
QUERIES = re.compile(
    rb"\x1b\[>q|\x1b_G(?=[^;\x1b]*a=q)[^;\x1b]*i=(\d+)[^\x1b]*\x1b\\|\x1b\[16t|\x1b\[\?(\d+)\$p|\x1bP\$qm\x1b\\|\x1b\[c|\x1b\[6n"
)

NAMES = {"kitty": b"kitty(0.41.1)", "sixel": b"XTerm(379)", "plain": b""}


@dataclass
class Memory:
    """The pictures that a kitty keeps."""

    pictures: dict[int, int] = field(default_factory=dict)
    """Bytes by number."""
    most: int = 0
    loading: int = 0

    def take(self, control: bytes, payload: bytes) -> None:
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
        self.output = b""
        """All that has come out of the line."""
        self.memory = Memory()
        self._parsed = 0
        self._answered = 0
        self._lock = threading.Lock()
        self._to_send: deque[tuple[float, bytes]] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def resize(self, columns: int, rows: int, descriptor: int | None = None) -> None:
        size = struct.pack("HHHH", rows, columns, columns * CELL[0], rows * CELL[1])
        fcntl.ioctl(self.master if descriptor is None else descriptor, termios.TIOCSWINSZ, size)

    # ---- the line ----------------------------------------------------------------------------------------------

    def _play(self) -> None:
        line: deque[tuple[float, bytes]] = deque()
        waiting, free_at = 0, 0.0
        while not self._closed:
            now = time.monotonic()
            while line and line[0][0] <= now:
                _, data = line.popleft()
                waiting -= len(data)
                self._arrive(data)
            with self._lock:
                while self._to_send and self._to_send[0][0] <= now:
                    os.write(self.master, self._to_send.popleft()[1])
            ready, _, _ = select.select([self.master] if waiting < BUFFER or not self.rate else [], [], [], 0.001)
            if ready:
                try:
                    data = os.read(self.master, BUFFER if self.rate else 65536)
                except OSError:
                    return
                if not data:
                    return
                free_at = max(free_at, time.monotonic()) + (len(data) / self.rate if self.rate else 0)
                line.append((free_at + self.delay, data))
                waiting += len(data)

    def _arrive(self, data: bytes) -> None:
        self.output += data
        for query in QUERIES.finditer(self.output, self._answered):
            self._answered = query.end()
            answer = self._answer(query)
            if answer and not self.silent:
                self.send(answer, after=self.answer_after)
        for command in KITTY.finditer(self.output, self._parsed):
            self._parsed = command.end()
            if b"a=q" not in command[1]:
                self.memory.take(command[1], command[2])

    def _answer(self, query: re.Match[bytes]) -> bytes:
        kind, asked = self.kind, query.group()
        match asked:
            case b"\x1b[>q":
                return b"\x1bP>|" + NAMES[kind] + b"\x1b\\" if NAMES[kind] else b""
            case b"\x1b[16t":
                return b"\x1b[6;%d;%dt" % (CELL[1], CELL[0]) if kind != "plain" else b""
            case b"\x1b[c":
                return b"\x1b[?62;4;22c" if kind == "sixel" else b"\x1b[?62;22c"
            case b"\x1b[6n":
                return b"\x1b[1;1R"
            case b"\x1bP$qm\x1b\\":
                return b"\x1bP1$r0;48:2::1:2:3m\x1b\\" if kind != "plain" else b""
        if asked.startswith(b"\x1b_G"):
            return b"\x1b_Gi=%s;OK\x1b\\" % query[1] if kind == "kitty" else b""
        return b"\x1b[?%s;0$y" % query[2]

    # ---- the user ----------------------------------------------------------------------------------------------

    def send(self, keys: bytes, after: float = 0) -> None:
        with self._lock:
            self._to_send.append((time.monotonic() + self.delay + after, keys))

    def until(self, true: object, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not true():  # type: ignore[operator]
            assert time.monotonic() < deadline, self.output[-3000:]
            time.sleep(0.005)

    def says(self, words: str) -> bool:
        return words.encode() in GRAPHICS.sub(b"", self.output)

    def quiet(self, seconds: float = 0.5) -> None:
        """Wait until nothing has come for a while."""
        before = -1
        while before != len(self.output):
            before = len(self.output)
            time.sleep(seconds)

    def echo(self, key: bytes, seconds: float = 30) -> float:
        """Seconds until a typed letter is seen."""
        before, start = self._letters(key), time.monotonic()
        self.send(key)
        self.until(lambda: self._letters(key) > before, seconds)
        return time.monotonic() - start

    def _letters(self, key: bytes) -> int:
        """How often `key` stands in the text, which no picture's half-arrived bytes are."""
        return UNFINISHED.sub(b"", GRAPHICS.sub(b"", self.output)).count(key)

    @property
    def graphics(self) -> int:
        """Bytes of pictures so far."""
        return sum(len(one.group()) for one in GRAPHICS.finditer(self.output) if b"a=q" not in one.group()[:60])

    def close(self) -> None:
        self._closed = True
        self.process.kill()
        self.process.wait()
        self._thread.join()
        os.close(self.slave)
        os.close(self.master)
