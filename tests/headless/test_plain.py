"""`latentty --plain`: everything as lines, nothing that moves a cursor."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.conftest import pictures_below
from tui.library.paths import Paths
from tui.library.pictures import read_making
from tui.library.settings import load_settings

EDGES = "emoji-tiny-control-edges"


def session(lines: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--plain"], input=lines, capture_output=True, text=True, timeout=200
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return done.stdout.splitlines()


def test_a_session_of_lines_makes_pictures_and_tells_their_paths(home: Paths, tmp_path: Path) -> None:
    fox, mask = tmp_path / "fox.png", tmp_path / "mask.png"
    Image.new("RGB", (64, 64), "teal").save(fox)
    Image.radial_gradient("L").resize((64, 64)).save(mask)
    told = session(
        "help quit\nqueue\nsteps 2\n/tags fruit, red\n"
        "help\n/steps 2\n/set size 64\n/seed 5\n/steps many\n/steps 900\n/nonsense\n/negative blue\n"
        "/scheduler Euler a\n/set\na red apple\n/seed random\n/again\n"
        f"/strength 0.9\n/image /nope.png\n/image {fox}\na fox\n/mask {mask}\na cat\n/mode edit\n/mask none\n"
        f"/control {EDGES}={fox},canny,weigth=1\n/control {EDGES}={fox},canny,weight=0.8\na crow\n"
        "/settings engine.exit_after 60\n/settings engine.exit_after soon\n/queue\n/model\n"
    )
    made = pictures_below(tmp_path / "pictures")
    assert {f"Saved {path}" for path in made} <= set(told)
    jobs = [making.job for path in made if (making := read_making(path)) is not None]
    assert sorted((job.prompt, job.mode, len(job.controls)) for job in jobs) == [
        ("a cat", "inpaint", 0),
        ("a crow", "img2img", 1),
        ("a fox", "img2img", 0),
        ("a red apple", "txt2img", 0),
        ("a red apple", "txt2img", 0),
    ]
    assert {(job.steps, job.width, job.negative_prompt) for job in jobs} == {(2, 64, "blue")}
    assert {tuple(job.tags) for job in jobs} == {("fruit", "red")}
    for line in (
        "/quit leaves; the engine goes on.",
        "'queue' may be a command or what to draw. Say /queue for the one, /draw queue for the other.",
        "Tags fruit and red.",
        "Steps cannot be 'many': denoising steps, 1 to 500.",
        "Steps 900 is not possible: it must be 1 to 500.",
        "There is no command /nonsense. /help lists them.",
        "Guidance 5. Scheduler Euler a. Seed 5. Count 1.",
        "/nope.png is not there.",
        f"Image {fox}. Mode img2img.",
        f"Mask {mask}. Mode inpaint.",
        "engine.exit_after is 60.",
        "engine.exit_after cannot be 'soon': a number is wanted.",
    ):
        assert line in told, told
    assert any("has no mode edit" in line for line in told)
    assert any("no option weigth" in line for line in told)
    assert any(line.startswith("emoji-tiny") and "chosen" in line for line in told)
    assert load_settings(home, {}).engine.exit_after == 60
    assert session("/quit\n")[-1].startswith("Goodbye")
