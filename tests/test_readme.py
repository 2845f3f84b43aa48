"""Every command in the README works as written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tui
from tests.conftest import pictures_below
from tui.library.paths import Paths
from tui.library.settings import load_settings

ROOT = Path(tui.__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    (latentty .+)$", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(home: Paths, command: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "latentty"
    if arguments[:2] == ["engine", "status"]:
        subprocess.run([sys.executable, "-m", "tui", "engine", "start"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([sys.executable, "-m", "tui", *arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


def test_the_settings_in_the_readme_are_settings(home: Paths) -> None:
    (block,) = re.findall(r"^    output_folder.*?\n\n(?=Every)", README, re.MULTILINE | re.DOTALL)
    home.settings_file.parent.mkdir(parents=True)
    home.settings_file.write_text(block)
    assert load_settings(home, {}).engine.exit_after == 120


def test_make_run_without_a_terminal_makes_a_picture(home: Paths, tmp_path: Path) -> None:
    """What `make run` does after its installation."""
    recipe = re.search(r"else (\$\(VENV\)/bin/latentty generate .*?); fi", (ROOT / "Makefile").read_text())
    assert recipe is not None
    command = recipe[1].replace("$(VENV)/bin/latentty", f"{sys.executable} -m tui").replace("$(PROMPT)", "a fox")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert pictures_below(tmp_path / "pictures") == [Path(done.stdout.strip())]
