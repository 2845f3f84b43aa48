"""Screenshots of real terminals, to be looked at. Not run by itself: pytest -m real_terminal, with TERMINAL_SCREENSHOT.

TERMINAL_SCREENSHOT is a program that takes: a terminal, a prefix for its files, keys, "--" and a command.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.terminal.show import photo

TMUX = "set -g allow-passthrough on\n"


@pytest.mark.real_terminal
@pytest.mark.parametrize("terminal", ["kitty", "kitty-tmux", "xterm", "mlterm", "xterm-halfblock"])
def test_a_picture_is_seen_under_a_dialog_and_after_it(terminal: str, tmp_path: Path) -> None:
    program = os.environ.get("TERMINAL_SCREENSHOT")
    if not program:
        pytest.skip("TERMINAL_SCREENSHOT names no program")
    kind, _, variant = terminal.partition("-")
    photo().save(tmp_path / "photo.png")
    command = [
        "env",
        f"SHOW_PHOTO={tmp_path}/photo.png",
        f"SHOW_PREVIEW={'halfblock' if variant == 'halfblock' else 'auto'}",
    ]
    command += [sys.executable, "-m", "tests.terminal.show"]
    if variant == "tmux":
        (tmp_path / "tmux.conf").write_text(TMUX)
        command = [
            "env",
            "TERM=xterm-256color",
            "tmux",
            "-L",
            "latentty-shot",
            "-f",
            str(tmp_path / "tmux.conf"),
            "new",
            *command,
        ]
    out = Path(os.environ.get("SCREENSHOTS", tmp_path)) / terminal
    keys = ["F2", "F4", "Escape", "F5", "F3"]
    environment = os.environ | {"WAIT": "8", "GAP": "4"}
    try:
        subprocess.run(["bash", program, kind, str(out), *keys, "--", *command], env=environment, check=True)
    finally:
        if variant == "tmux":
            subprocess.run(["tmux", "-L", "latentty-shot", "kill-server"], check=False)
    shots = [Image.open(f"{out}-{number}.png").convert("RGB") for number in range(len(keys) + 1)]
    colours = [len(shot.crop((420, 40, 700, 220)).quantize(64).getcolors() or []) for shot in shots]
    assert colours[0] < 8, "nothing yet"
    assert min(colours[1:]) > 20, "a picture, and it stays"
    edges = [shot.crop((30, 0, 330, 20)).tobytes() for shot in (shots[0], shots[1])]
    assert edges[0] == edges[1], "the screen has not scrolled"
