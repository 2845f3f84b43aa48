"""No network, no telemetry, no secret in any file, and no file that others can read."""

import asyncio
import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import pictures_below
from tests.faults.conftest import Tally
from tests.faults.test_hostile_clients import HELLO
from tui.client import attach
from tui.engine import log_file
from tui.engine.home import QUIET
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.library.secrets import HIDDEN, redacted
from tui.library.settings import save_setting
from tui.worker.__main__ import FIRST_TO_GO

TOKENS = {
    "HF_TOKEN": "hf_NeverTellThisToAnyoneAtAll0123",
    "CIVITAI_API_KEY": "0123456789abcdef0123456789abcdef",
    "DATABASE_PASSWORD": "correct-horse-battery",
}


def latentty(*arguments: str, alone: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program; `alone`: in a network of its own, where there is none, when that is allowed."""
    command = [sys.executable, "-m", "tui", *arguments]
    if alone and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:
        command = ["unshare", "--net", *command]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, preexec_fn=lambda: os.umask(0) and None
    )


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no way to a network without anything in it")
def test_a_whole_run_needs_no_network_and_leaves_nothing_to_others(home: Paths, tally: Tally, tmp_path: Path) -> None:
    """With an umask that hides nothing: what is private is made private."""
    save_setting(home, "theme", "paper")
    tried = tmp_path / "tried"
    here = {"PYTHONPATH": f"{Path(__file__).parent / 'no_network'}:{Path.cwd()}", "TRIED": str(tried)} | TOKENS
    edges = tmp_path / "control.png"
    Image.new("RGB", (64, 64)).save(edges)
    ran = latentty(
        "generate", "a fox", "--steps", "2", "--size", "64x64",
        "--control", f"emoji-tiny-control-edges={edges},canny", **here,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (picture,) = pictures_below(tmp_path / "pictures")
    for path in (picture, picture.parent, tmp_path / "pictures"):
        tally.tried += 1
        assert not path.stat().st_mode & stat.S_IWOTH, f"{path} can be changed by everybody"
    told = read_engine_file(home.lock_file)
    assert told is not None
    worker = Path(f"/proc/{told.pid}/task/{told.pid}/children").read_text().split()[0]
    assert Path(f"/proc/{worker}/oom_score_adj").read_text() == f"{FIRST_TO_GO}\n", "it goes first, not the queue"
    environment = Path(f"/proc/{worker}/environ").read_bytes().decode().split("\0")
    assert {f"{name}={value}" for name, value in QUIET.items()} <= set(environment), "every telemetry is off"
    for arguments in (["models"], ["engine", "status"], ["engine", "logs"], ["engine", "stop"]):
        assert latentty(*arguments, **here).returncode == 0
    assert not tried.exists(), tried.read_text()
    for root in (home.config, home.state, home.cache, tmp_path / "run"):
        for path in (root, *root.rglob("*")):
            tally.tried += 1
            mode = stat.S_IMODE(path.lstat().st_mode)
            tally.lost += mode & 0o077 != 0
            assert mode & 0o077 == 0, f"{path} can be read by others: {mode:o}"
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert not any(token.encode() in data for token in TOKENS.values()), f"a secret is in {path}"
    tally.note = "files and folders; nothing asked for a network"


def test_the_log_hides_secrets_is_private_and_stays_small(
    home: Paths, tally: Tally, monkeypatch: pytest.MonkeyPatch, times: Callable[[int, int], int]
) -> None:
    for name, value in TOKENS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(log_file, "LOG_BYTES", 20_000)
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers.clear()
    umask = os.umask(0)
    try:
        log_file.write_log(home.log_file)
        for number in range(times(300, 20_000)):
            value = list(TOKENS.values())[number % 3]
            logging.getLogger("x").info("GET /file?token=%s and %r failed, Bearer %s", value, {"k": value}, value)
            try:
                raise ValueError(f"Authorization: Bearer {value}")
            except ValueError:
                logging.getLogger("x").exception("it failed")
            tally.tried += 2
    finally:
        os.umask(umask)
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
    logs = sorted(home.state.glob("engine.log*"))
    assert len(logs) == log_file.LOG_FILES + 1
    for log in logs:
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert log.stat().st_size < 25_000
        tally.lost += sum(token in log.read_text() for token in TOKENS.values())
    assert tally.lost == 0
    assert HIDDEN in logs[0].read_text()


@given(
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    token=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=24, max_size=40),
    form=st.sampled_from(
        [
            "hf_{}",
            "Bearer {}",
            "token={}",
            "api_key: {}",
            '"password": "{}"',
            "https://me:{}@host/x",
            "?apikey={}&b=1",
            "https://{}@host/x",
            "Authorization: Basic {}",
            "{{'authorization': '{}'}}",
            "?X-Amz-Signature={}&x=1",
            'password = "two {} words"',
            "Set-Cookie: a=1; b={}; c=2",
            "--token {}",
            "github_pat_{}",
            "glpat-{}",
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
            "CIVITAI_API_TOKEN={}",
            "{{'Cookie': 'a=1; b={}'}}",
            "machine host login me password {}",
            "curl -u me:{}",
            "?Policy={}&x=1",
        ]
    ),
)
@settings(max_examples=50)
def test_what_looks_like_a_secret_is_hidden(before: str, after: str, token: str, form: str) -> None:
    told = redacted(f"{before} {form.format(token)} {after.replace(token, '')}", {})
    assert token not in told.removeprefix(before)
    assert redacted("a token is 75 words; my password", {"DEBUG_TOKEN": "1"}) == "a token is 75 words; my password"


def test_no_text_makes_the_search_for_secrets_long(tally: Tally, times: Callable[[int, int], int]) -> None:
    """Each costs minutes where one letter is looked at once for each of the others; every line of the log passes."""
    length = times(20_000, 600_000)
    pieces = (
        "a", "token", "tokena", "token=", "token ", "authorization: basic ", 'secret:"', "://", "://a", "eyJa", "sk-",
        "-----BEGIN PRIVATE KEY-----", "-----BEGIN A ", "github_pat_", "cookie: ", "Bearer ", "-token ", "_key",
        "cookie", "-u ", "-u a", "password ", 'password "',
    )  # fmt: skip
    for piece in pieces:
        for text in (piece * (length // len(piece)), piece + "a" * length, piece + " " * length, piece + "-" * length):
            redacted(text, {})
            tally.tried += 1


def test_a_secret_of_the_environment_is_hidden_however_it_is_written(tally: Tally) -> None:
    secret = 'p@ss "w\\ord" of mine'
    for text in (secret, quote(secret), quote(secret, safe=""), json.dumps({"a": secret}), repr([secret])):
        told = redacted(f"x {text} y", {"DB_PASS": secret})
        tally.tried += 1
        assert HIDDEN in told
        assert "of mine" not in unquote(told)


async def test_signals_that_end_a_session_do_not_end_the_engine(home: Paths, tally: Tally) -> None:
    """It is in a session of its own, so that a closed terminal reaches it as nothing at all."""
    assert latentty("engine", "start", alone=False, LATENTTY_AUTOLOAD="false").returncode == 0
    told = read_engine_file(home.lock_file)
    assert told is not None
    fields = Path(f"/proc/{told.pid}/stat").read_text().rpartition(")")[2].split()
    assert fields[4] == "0", "it has no terminal"
    assert int(fields[3]) not in (told.pid, os.getsid(0)), "and can never get one"
    for number in (signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT, signal.SIGHUP):
        os.kill(told.pid, number)
        tally.tried += 1
        if number != signal.SIGTSTP:
            async with asyncio.timeout(30):
                _, writer, _ = await attach(home, HELLO)  # it greets
            writer.transport.abort()
    assert read_engine_file(home.lock_file) == told
    assert tally.lost == 0
