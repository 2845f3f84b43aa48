"""How long keys and the event loop wait for pictures, and what textual-image's widget does in the same terminal.

Times are worth something on an idle machine only, so this is not run by itself: pytest -m timing -s
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.terminal.played import PlayedTerminal
from tests.terminal.show import photo

F2, F3, F4, F6, F7 = b"\x1bOQ", b"\x1bOR", b"\x1bOS", b"\x1b[17~", b"\x1b[18~"

DELAY: Final = 0.01
"""Seconds one way."""

OURS: Final = (sys.executable, "-m", "tests.terminal.show")
OTHERS: Final = (*OURS, "--textual-image")


def played(photo_file: Path, kind: str, command: tuple[str, ...], rate: float, preview: str = "auto") -> PlayedTerminal:
    environment = {"SHOW_PHOTO": str(photo_file), "SHOW_PREVIEW": preview, "COLORTERM": "truecolor"}
    terminal = PlayedTerminal(*command, kind=kind, rate=rate, delay=DELAY, environment=environment)
    terminal.until(lambda: terminal.says("ready"), 60)
    terminal.quiet()
    return terminal


def stall(terminal: PlayedTerminal) -> int:
    """Milliseconds that the event loop stood still at worst since this was asked last."""
    before = terminal.output.text.count(b"stall ")
    terminal.send(F7)
    terminal.until(lambda: terminal.output.text.count(b"stall ") > before and b" ms" in _after(terminal), 120)
    return int(re.findall(rb"(\d+) ms", _after(terminal))[0])


def _after(terminal: PlayedTerminal) -> bytes:
    return bytes(terminal.output.text[terminal.output.text.rfind(b"stall ") :])


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    photo().save(path)
    return path


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["kitty", "sixel", "plain"])
@pytest.mark.parametrize("whose", ["ours", "textual-image"])
@pytest.mark.parametrize("megabits", [1, 10, 100, 0])
def test_keys_and_the_event_loop_wait_little(photo_file: Path, kind: str, whose: str, megabits: int) -> None:
    terminal = played(photo_file, kind, OURS if whose == "ours" else OTHERS, megabits * 125_000)
    try:
        stall(terminal)
        begun = terminal.output.size
        terminal.send(F3)
        ended = Ended(terminal)
        echoes = terminal.echoes(ended, seconds=200)
        sent, stood = terminal.output.size - begun, stall(terminal)
        print(
            f"\n{whose:14}{kind:7}{megabits:4} Mbit/s: echo worst {max(echoes) * 1000:6.0f} ms, "
            f"median {sorted(echoes)[len(echoes) // 2] * 1000:4.0f} ms, of {len(echoes)}; "
            f"loop stood {stood:4} ms; {sent:8} bytes, {ended.took:5.1f} s"
        )
        if whose == "ours":
            assert max(echoes) <= {1: 0.2, 10: 0.05}.get(megabits, 0.05) + 2 * DELAY
            assert stood <= 50
    finally:
        terminal.close()


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["kitty", "sixel", "plain"])
@pytest.mark.parametrize("whose", ["ours", "textual-image"])
def test_what_each_sends(photo_file: Path, kind: str, whose: str) -> None:
    terminal = played(photo_file, kind, OURS if whose == "ours" else OTHERS, 0)
    sent: list[tuple[str, int]] = []

    def after(name: str, keys: bytes, ended: Callable[[], object]) -> None:
        begun, pictures = terminal.output.size, terminal.graphics
        terminal.send(keys)
        terminal.until(ended, 120)
        terminal.quiet(1.0)
        sent.append((name, terminal.output.size - begun))
        sent.append((f"{name}, pictures", terminal.graphics - pictures))

    try:
        after("still", F2, lambda: True)
        after("ten frames and still", F3, lambda: terminal.says("shown ten"))
        after("Tab", b"\t", lambda: True)
        after("typing", b"abc", lambda: terminal.says("abc"))
        after("dialog", F4, lambda: terminal.says("A dialog"))
        after("dialog closed", b"\x1b", lambda: True)
        after("200 frames", F6, lambda: terminal.says("shown many"))
        sent.append(("kept by a kitty at most", terminal.memory.most))
        after("idle", b"", lambda: True)
        print(f"\n{whose} {kind}: " + ", ".join(f"{name} {size:,}" for name, size in sent))
    finally:
        terminal.close()


class Ended:
    """Whether all pictures were shown: told so, and for a while no bytes of pictures came."""

    def __init__(self, terminal: PlayedTerminal, calm: int = 5) -> None:
        self._terminal, self._calm = terminal, calm
        self._begun, self._graphics, self._same = time.monotonic(), -1, 0
        self.took = 0.0
        """Seconds until the last of them."""

    def __call__(self) -> bool:
        self._same = self._same + 1 if self._terminal.graphics == self._graphics else 0
        if not self._same:
            self.took = time.monotonic() - self._begun
        self._graphics = self._terminal.graphics
        return self._same > self._calm and self._terminal.says("shown ten")
