"""What lies between this process and the terminal: tmux, screen, mosh, a browser, SSH."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tui.terminal.terminal import Between, Tmux

ANSWER_WITHIN: Final = 2.0
"""Seconds that tmux has to answer."""

_ASKED: Final = "\t".join(
    [
        "#{client_tty}:#{client_pid}",
        "#{client_termtype}",
        "#{client_termfeatures}",
        "#{client_termname}",
        "#{allow-passthrough}",
    ]
)


def between(environment: Mapping[str, str] = os.environ) -> Between:
    """What redraws between this process and the terminal; the innermost, if there are several."""
    if "TEXTUAL_DRIVER" in environment:
        return "browser"
    if environment.get("TMUX"):
        return "tmux"
    if environment.get("STY") or environment.get("TERM", "").startswith("screen"):
        return "screen"
    return "mosh" if "mosh-server" in _ancestors() else ""


def over_ssh(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user came over SSH."""
    return bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))


def ask_tmux(environment: Mapping[str, str] = os.environ) -> Tmux | None:
    """What tmux says of the terminal that it is seen in; None when it does not answer."""
    pane = environment.get("TMUX_PANE")
    target = ["-t", pane] if pane else []
    told = _tmux("display-message", "-p", *target, _ASKED)
    if told is None:
        return None
    client, outer, features, term, passthrough = (told.split("\t") + [""] * 5)[:5]
    return Tmux(
        client=client.strip(":"),
        outer=outer or term,
        features=frozenset(features.split(",")) - {""},
        passthrough=passthrough in ("1", "on", "all"),
    )


def is_seen(tmux: Tmux) -> bool:
    """Whether the client that looked on still runs, as far as can be told without asking tmux."""
    process = tmux.client.rpartition(":")[2]
    if not process.isdecimal():
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:  # it has ended, unless this system tells of no process
        return not Path("/proc/self").exists()
    return state != "Z"


def _tmux(*arguments: str) -> str | None:
    """What `tmux` prints; None when it fails, as it does for options that an old one does not know."""
    try:
        ran = subprocess.run(
            ["tmux", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=ANSWER_WITHIN,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip("\n") if ran.returncode == 0 else None


def _ancestors() -> set[str]:
    """The names of the processes that this one descends from."""
    names: set[str] = set()
    process = os.getppid()
    while process > 1:
        try:
            name, _, rest = Path(f"/proc/{process}/stat").read_text(errors="replace").partition("(")[2].rpartition(")")
        except OSError:  # it has ended, or belongs to another user
            break
        names.add(name)
        process = int(rest.split()[1])
    return names
