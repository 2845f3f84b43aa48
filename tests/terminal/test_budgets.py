"""What pictures cost on the way to a terminal, counted on the bytes of a real app in a played one."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal.played import PlayedTerminal
from tests.terminal.show import photo

F2, F3, F4, F5, F6, F8, F10 = (b"\x1bOQ", b"\x1bOR", b"\x1bOS", b"\x1b[15~", b"\x1b[17~", b"\x1b[19~", b"\x1b[21~")
CTRL_L, CTRL_T, CTRL_Z = b"\x0c", b"\x14", b"\x1a"

FRAME = 612 * 612 * 3
"""Bytes of a frame as a terminal may keep it."""

SHELL = """
import os, signal, sys
app = os.fork()
if app == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "tests.terminal.show"])
os.waitpid(app, 0)
"""
"""What a shell does with a command: it runs in front, and there is someone who could continue it."""

Play = Callable[..., PlayedTerminal]


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    photo().save(path)
    return path


@pytest.fixture
def play(photo_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    monkeypatch.setenv("SHOW_PHOTO", str(photo_file))
    played: list[PlayedTerminal] = []

    def start(*command: str, **options: object) -> PlayedTerminal:
        terminal = PlayedTerminal(*command, **options)
        played.append(terminal)
        terminal.until(lambda: terminal.says("ready"), 60)
        terminal.quiet()
        return terminal

    yield start
    for terminal in played:
        terminal.close()


def test_pictures_in_kitty_keep_within_their_budgets(play: Play) -> None:
    terminal = play(kind="kitty")
    terminal.send(F2)
    terminal.until(lambda: terminal.graphics)
    terminal.quiet()
    still, kept = terminal.graphics, sum(terminal.memory.pictures.values())
    assert still <= 250_000
    begun = terminal.output.size
    terminal.send(F3)
    terminal.until(lambda: terminal.says("shown ten"))
    terminal.until(lambda: list(terminal.memory.pictures.values()) == [kept])
    terminal.quiet()
    assert terminal.output.size - begun <= 1_000_000, "ten live frames and the picture"
    words = terminal.output.size - begun - (terminal.graphics - still)
    assert words <= 10 * 6_000, "a frame that takes another's place costs little text"
    tabbed = terminal.output.size
    terminal.send(b"\t")
    terminal.quiet(0.3)
    assert terminal.output.size - tabbed < 4_000, "what has the focus is drawn, and nothing else"
    before = terminal.graphics
    for keys in (b"\t", b"abc", F4, b"\x1b", F5, b"\x1b[I\x1b[O\x1b[I"):
        terminal.send(keys)
        terminal.quiet(0.3)
    assert terminal.graphics == before, "focus, typing, dialogs and toasts send no picture"
    terminal.resize(100, 30)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.resize(101, 31)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.until(lambda: terminal.graphics > before + 10_000)
    terminal.quiet()
    assert terminal.graphics <= before + 250_000, "once, after the size has come to rest"
    terminal.send(F6)
    terminal.until(lambda: terminal.says("shown many"), 60)
    terminal.quiet()
    assert terminal.memory.most <= 2 * FRAME
    assert len(terminal.memory.pictures) == 1
    assert terminal.taken_too_early == 0, "what is seen stays until the next is painted"
    before_idle = terminal.output.size
    terminal.quiet(1.0)
    assert terminal.output.size == before_idle, "an idle screen sends nothing"
    terminal.send(CTRL_L)
    terminal.until(lambda: terminal.output.size > before_idle + 5_000)
    terminal.quiet()
    terminal.send(F10)
    terminal.until(lambda: terminal.process.poll() is not None)
    terminal.until(lambda: not terminal.memory.pictures)


def tmux_hands_pictures_on() -> bool:
    """Whether there is a tmux that can, which those before 3.3 cannot."""
    told = subprocess.run(["tmux", "-V"], capture_output=True, text=True).stdout if shutil.which("tmux") else ""
    version = re.search(r"(\d+)\.(\d+)", told)
    return version is not None and (int(version[1]), int(version[2])) >= (3, 3)


@pytest.mark.skipif(not tmux_hands_pictures_on(), reason="there is no tmux that hands pictures on")
def test_pictures_follow_tmux_from_terminal_to_terminal(play: Play, photo_file: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "tmux.conf"
    configuration.write_text("set -g allow-passthrough on\n")
    tmux = ("tmux", "-S", str(tmp_path / "socket"), "-f", str(configuration))
    try:
        kitty = play(*tmux, "new", "-s", "shown", sys.executable, "-m", "tests.terminal.show", kind="kitty")
        kitty.send(F2)
        kitty.until(lambda: kitty.memory.pictures)
        plain = PlayedTerminal(*tmux, "attach", "-d", kind="plain")
        try:
            plain.until(lambda: plain.says("▀"))
        finally:
            plain.close()
        again = PlayedTerminal(*tmux, "attach", "-d", kind="kitty")
        try:
            again.until(lambda: again.memory.pictures)
            again.quiet()
            assert len(again.memory.pictures) == 1
        finally:
            again.close()
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


@pytest.mark.parametrize("end", ["hangup", "crash"])
def test_a_terminal_keeps_nothing_of_an_app_that_is_gone(play: Play, end: str) -> None:
    terminal = play(kind="kitty")
    terminal.send(F2)
    terminal.until(lambda: terminal.memory.pictures)
    terminal.quiet()
    if end == "hangup":
        terminal.process.send_signal(signal.SIGHUP)
    else:
        terminal.send(F8)
    terminal.until(lambda: terminal.process.poll() is not None)
    terminal.until(lambda: not terminal.memory.pictures)


def test_a_suspended_app_leaves_nothing_and_shows_all_again(play: Play) -> None:
    terminal = play(sys.executable, "-S", "-c", SHELL, kind="kitty")
    terminal.send(F2)
    terminal.until(lambda: terminal.memory.pictures)
    terminal.quiet()
    kept = list(terminal.memory.pictures.values())
    shell = terminal.process.pid
    app = int(Path(f"/proc/{shell}/task/{shell}/children").read_text())
    os.kill(app, signal.SIGTSTP)
    terminal.until(lambda: not terminal.memory.pictures)
    terminal.until(lambda: is_stopped(app))
    terminal.until(lambda: terminal.output.text.rfind(b"\x1b[?1049l") > terminal.output.text.rfind(b"\x1b[?1049h"))
    os.kill(app, signal.SIGCONT)
    terminal.until(lambda: list(terminal.memory.pictures.values()) == kept)
    terminal.send(b"hello")
    terminal.until(lambda: terminal.says("hello"))


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_an_app_that_no_shell_could_continue_does_not_stop(play: Play) -> None:
    """One whose terminal closes as it is suspended would stay for ever."""
    terminal = play(kind="plain")
    terminal.process.send_signal(signal.SIGTSTP)
    terminal.until(lambda: terminal.output.text.count(b"\x1b[?1049h") == 2)
    terminal.send(b"hello")
    terminal.until(lambda: terminal.says("hello"))
    assert not is_stopped(terminal.process.pid)


def test_sixels_are_sent_again_only_where_they_were_lost(play: Play) -> None:
    terminal = play(kind="sixel")
    terminal.send(F2)
    terminal.until(lambda: terminal.graphics)
    terminal.quiet()
    still = terminal.graphics
    assert still <= 250_000
    for keys in (b"\t", b"abc", F4):
        terminal.send(keys)
        terminal.quiet(0.3)
    assert terminal.graphics == still
    terminal.send(b"\x1b")
    terminal.until(lambda: terminal.graphics == 2 * still)
    terminal.quiet()
    assert terminal.graphics == 2 * still, "the dialog lay over the picture: once more"


def test_answers_that_come_too_late_are_not_typed_and_what_is_typed_early_is(play: Play, photo_file: Path) -> None:
    os.environ["SHOW_PHOTO"] = str(photo_file)
    late = play(kind="kitty", answer_after=1.8)
    late.until(lambda: late.says("ready"))
    late.send(b"hello")
    late.until(lambda: late.says("hello"))
    for piece in ("kitty(", "62;22c", "OK", "17;9t"):
        assert not late.says(piece)
    early = PlayedTerminal(kind="kitty", answer_after=0.5)
    try:
        early.until(lambda: b"\x1b[>q" in early.output.text)
        early.send(b"early")
        early.until(lambda: early.says("early"))
    finally:
        early.close()


def test_without_a_terminal_nothing_is_asked() -> None:
    code = "from tui.terminal.probe import look; t = look(); print(t.is_terminal, t.answered)"
    ran = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ran.stdout == "False None\n", ran.stderr
