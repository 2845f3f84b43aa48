"""`latentty --plain`: everything as lines, nothing that moves a cursor."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import pictures_below
from tui.library.paths import Paths


def session(lines: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--plain"], input=lines, capture_output=True, text=True, timeout=200
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return done.stdout.splitlines()


def test_a_session_of_lines_makes_pictures_and_tells_their_paths(home: Paths, tmp_path: Path) -> None:
    told = session(
        "/help\n/set steps 2\n/set size 64\n/set seed 5\n/set steps many\n/nonsense\n/negative blue\n"
        "/set scheduler Euler a\n/set\na red apple\n/set seed random\n/again\n/queue\n/model\n"
    )
    made = pictures_below(tmp_path / "pictures")
    assert len(made) == 2
    assert {f"Saved {path}" for path in made} <= set(told)
    assert "Steps must be a number, not 'many'. It is 1 to 500." in told
    assert "There is no command /nonsense. /help lists them." in told
    assert "Guidance 5. Scheduler Euler a. Seed 5. Count 1." in told
    assert any(line.startswith("emoji-tiny") and "chosen" in line for line in told)
    assert session("/quit\n")[-1].startswith("Goodbye")
