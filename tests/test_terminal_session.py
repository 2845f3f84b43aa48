"""The app as a process in a terminal: started, typed into, left, and cut off."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import pictures_below
from tui.cli import main
from tui.client import attach
from tui.headless import plain
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.protocol import PROTOCOL_VERSION
from tui.protocol.frames import Hello

F10 = b"\x1b[21~"
ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[PX^_].*?\x1b\\|.)", re.DOTALL)


class Session:
    """`latentty` in a pseudo terminal."""

    def __init__(self, columns: int = 100, rows: int = 30) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.output = b""
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while not self._closing.is_set():
                readable, _, _ = select.select([self.master], [], [], 0.05)
                if readable:
                    self.output += os.read(self.master, 65536)
        except OSError:  # the other end has gone
            return

    @property
    def text(self) -> str:
        return ESCAPES.sub(b"", self.output).decode(errors="replace")

    def is_quiet(self) -> bool:
        """Nothing has come for a second and a half."""
        before = len(self.output)
        time.sleep(1.5)
        return len(self.output) == before

    def send(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def until(self, true: object, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not true():  # type: ignore[operator]
            assert time.monotonic() < deadline, self.text[-2000:]
            time.sleep(0.02)

    def close(self) -> None:
        """The terminal goes away, as when a connection is lost."""
        self._closing.set()
        self._reader.join()  # a read that is going on would keep it open
        os.close(self.master)


@pytest.fixture
def session(home: Paths) -> Iterator[Session]:
    session = Session()
    yield session
    session.process.kill()
    session.process.wait()


def modules_of(process: int) -> str:
    """What compiled code a process has mapped."""
    return Path(f"/proc/{process}/maps").read_text()


def test_a_whole_visit(session: Session, home: Paths, tmp_path: Path) -> None:
    session.until(lambda: "Prompt" in session.text, 10)
    session.until(lambda: "emoji-tiny" in session.text)
    session.send(b"a red apple")
    session.until(lambda: "ready" in session.text)
    session.send(b"\r")
    session.until(lambda: len(pictures_below(tmp_path / "pictures")) == 1)
    loaded = modules_of(session.process.pid)
    assert not re.search("libtorch|_multiarray_umath|_sqlite3", loaded), "the UI has loaded no torch, numpy or sqlite"
    session.until(session.is_quiet)
    before = len(session.output)
    time.sleep(2)
    assert len(session.output) == before, "an idle screen sends nothing"
    session.send(F10)
    assert session.process.wait(10) == 0
    session.until(lambda: "The engine stays ready" in session.text)
    told = read_engine_file(home.lock_file)
    assert told is not None
    os.kill(told.pid, 0)


async def test_the_terminal_is_closed_in_the_middle_and_the_job_finishes(
    session: Session, home: Paths, tmp_path: Path
) -> None:
    session.until(lambda: "ready" in session.text)
    session.send(b"a red apple\r")
    session.until(lambda: "it/s" in session.text)
    session.close()
    assert session.process.wait(10) is not None
    session.until(lambda: len(pictures_below(tmp_path / "pictures")) == 1)
    _, writer, welcome = await attach(home, Hello(protocol=PROTOCOL_VERSION, version="test"))
    writer.close()
    assert welcome.snapshot is not None
    assert [record.job.prompt for record in welcome.snapshot.jobs.values()] == ["a red apple"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(session: Session, number: signal.Signals) -> None:
    session.until(lambda: "Prompt" in session.text, 10)
    time.sleep(0.5)
    session.process.send_signal(number)
    session.process.wait(10)
    session.until(lambda: session.output.rstrip().rfind(b"\x1b[?1049l") > session.output.rfind(b"\x1b[?1049h"), 5)


def test_without_a_terminal_the_app_says_what_to_do_instead(home: Paths) -> None:
    told = subprocess.run([sys.executable, "-m", "tui"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert told.returncode == 2
    assert "latentty generate" in told.stderr


def test_where_nothing_can_be_drawn_the_session_goes_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, SimpleNamespace(isatty=lambda: True))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(plain, "plain_session", lambda paths: 7)
    assert main([]) == 7
    assert "set TERM" in capsys.readouterr().err
