"""`latentty generate` and `latentty engine`, run as a user runs them: real processes, the real model."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tests.conftest import end_engine, make_home, pictures_below
from tui.cli import main
from tui.headless import options
from tui.headless.generate import Request, make_job
from tui.library.engine_file import read_engine_file
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models
from tui.library.pictures import read_making
from tui.protocol.events import ModelInfo
from tui.protocol.job import MODES, Offload, Quantise

SMALL = ["--size", "64", "--steps", "2"]


@pytest.fixture(autouse=True)
def no_autoload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines start no worker before they must."""
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")


def latentty(*arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tui", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)


def without_torchao(logs: str) -> str:
    """`logs` without what torch says of torchao 0.18 as diffusers imports that: it calls something old of torch's."""
    return "\n".join(line for line in logs.splitlines() if "Calling register_constant() on Enum" not in line)


def test_a_grown_picture_has_the_size_of_the_old_one_and_its_new_edges(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (250, 128)).save(tmp_path / "house.png")
    model = ModelInfo(name="model", path="", family="sd1", scheduler="dpmpp-2m", schedulers=["dpmpp-2m"])
    grown = Request("a house", image=tmp_path / "house.png", grow=(64, 0, 0, 8))
    job = make_job(grown, model)
    assert (job.mode, job.width, job.height) == ("outpaint", 312, 136)


def test_one_command_makes_a_picture_and_prints_its_path(home: Paths) -> None:
    made = latentty("generate", "a red apple", "--seed", "5", *SMALL)
    assert made.returncode == 0, made.stderr
    making = read_making(Path(made.stdout.strip()))
    assert making is not None
    assert (making.seed, making.job.prompt, making.job.steps) == (5, "a red apple", 2)
    assert "step 2/2" in made.stderr

    again = latentty("generate", "a red apple", "--seed", "5", "--json", *SMALL)
    told = [json.loads(line) for line in again.stdout.splitlines()]
    assert [event["event"] for event in told] == ["queued", "step", "step", "step", "saved", "done"]
    (saved,) = [event for event in told if event["event"] == "saved"]
    assert saved["seed"] == 5
    assert pixels(Path(saved["path"])) == pixels(Path(made.stdout.strip())), "a seed means the same again"

    named = home.state.parents[2] / "mine.png"
    many = latentty("generate", "two apples", "--count", "2", "--out", str(named), "--scheduler", "Euler a", *SMALL)
    assert many.stdout.split() == [str(named.with_name("mine-1.png")), str(named.with_name("mine-2.png"))]
    assert all(Path(path).exists() for path in many.stdout.split())

    status = json.loads(latentty("engine", "status", "--json").stdout)
    assert status["running"]
    assert {component["name"] for component in status["residency"]["components"]} == {"text_encoder", "unet", "vae"}
    assert "queue" in latentty("engine", "status").stdout
    logs = latentty("engine", "logs").stdout
    assert not re.search("deprecat|FutureWarning", without_torchao(logs), re.IGNORECASE), logs
    assert "ended" in latentty("engine", "stop").stdout
    assert latentty("engine", "status").returncode == 3
    assert "No engine" in latentty("engine", "stop").stdout


def pixels(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return image.tobytes()


def test_every_mode_can_be_asked_for(home: Paths, tmp_path: Path) -> None:
    """The options imply the mode; what is kept of the picture is kept; a ControlNet draws what it is shown."""
    from PIL import Image, ImageDraw

    first = latentty("generate", "a red apple", "--seed", "5", "--size", "128", "--steps", "4").stdout.strip()
    mask = tmp_path / "mask.png"
    Image.new("L", (128, 128), 0).save(mask)
    with Image.open(mask) as image:
        ImageDraw.Draw(image).rectangle((64, 0, 127, 127), fill=255)
        image.save(mask)

    def made(*options: str) -> tuple[str, Image.Image]:
        told = latentty("generate", "a green apple", "--seed", "6", "--size", "128", "--steps", "4", *options)
        assert told.returncode == 0, told.stderr
        making = read_making(Path(told.stdout.strip()))
        assert making is not None
        with Image.open(told.stdout.strip()) as image:
            return making.pipeline, image.convert("RGB")

    assert made("--image", first, "--strength", "0.5")[0] == "StableDiffusionImg2ImgPipeline"
    pipeline, inpainted = made("--image", first, "--mask", str(mask), "--mask-blur", "0")
    assert pipeline == "StableDiffusionInpaintPipeline"
    with Image.open(first) as image:
        left = (0, 0, 64, 128)
        assert inpainted.crop(left).tobytes() == image.convert("RGB").crop(left).tobytes(), "black is kept"
    assert made("--image", first, "--grow", "0,0,32,0")[0] == "StableDiffusionInpaintPipeline"
    edges = f"emoji-tiny-control-edges={first},canny"
    pipeline, controlled = made("--control", f"{edges},weight=0.9,end=0.8")
    assert pipeline == "StableDiffusionControlNetPipeline"
    assert controlled.tobytes() != made()[1].tobytes()
    pipeline, _ = made("--control", edges, "--control", edges, "--image", first)
    assert pipeline == "StableDiffusionControlNetImg2ImgPipeline"

    lora = bundled_models() / "emoji-tiny-lora-pixel"
    drawn = [made(*options)[1].tobytes() for options in (("--lora", str(lora)), ("--lora", f"{lora}:0.5"), ())]
    assert len(set(drawn)) == 3, "a LoRA and its weight have an effect"
    assert made("--offload", "layers", "--tile-vae")[1].tobytes() == drawn[2], "saving memory has none"

    def refused(*options: str) -> str:
        told = latentty("generate", "a green apple", *SMALL, *options)
        assert told.returncode == 2, told.stderr
        return told.stderr

    assert "begins with a picture" in refused("--mode", "img2img")
    assert "no mode edit" in refused("--mode", "edit", "--image", first)
    assert "no option weigth" in refused("--control", f"{edges},weigth=1")
    assert "nonesuch" in refused("--control", f"nonesuch={first}")
    assert "is not there" in refused("--image", str(tmp_path / "nothing.png"))
    assert "less than one" in refused("--image", first, "--strength", "0")


def test_help_knows_every_mode() -> None:
    assert options.MODES == MODES
    assert get_args(Offload) == options.OFFLOADS
    assert get_args(Quantise) == options.QUANTISES


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--size", "250"], 2, "steps of 8"),
        (["--steps", "0"], 2, "1 to 500"),
        (["--size", "x"], 2, "no size"),
        (["--scheduler", "nonesuch"], 2, "dpmpp-2m"),
        (["--model", "nonesuch"], 1, "emoji-tiny"),
        (["--model", "/nonesuch"], 1, "not there"),
        (["--out", "x.gif"], 2, "PNG"),
    ],
)
def test_a_bad_parameter_is_told_with_what_would_do(
    drawing: Path, arguments: list[str], status: int, told: str
) -> None:
    made = latentty("generate", "x", *arguments)
    assert made.returncode == status
    assert told in made.stderr
    assert made.stdout == ""


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a home in it, for those whose worker has seen others' mishaps, as a user's has."""
    folder = tmp_path_factory.mktemp("drawing")
    with pytest.MonkeyPatch.context() as patch:
        paths = make_home(folder, patch)
        yield folder
        end_engine(paths)


def test_a_damaged_model_is_told_and_the_next_one_works(drawing: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundled_models() / BUNDLED, tmp_path / "copy")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    made = latentty("generate", "x", "--model", str(copy), *SMALL, "--json")
    assert made.returncode == 1
    (failed,) = [json.loads(line) for line in made.stdout.splitlines()]
    assert failed["event"] == "failed"
    assert failed["code"] == "model_damaged"
    assert failed["hint"]
    assert latentty("generate", "x", *SMALL).returncode == 0


def test_an_unwritable_folder_is_told(drawing: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = latentty("generate", "x", "--out", str(tmp_path / "file" / "below"), *SMALL)
    assert made.returncode == 1
    assert "No picture can be written" in made.stderr
    pictures = drawing / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.write_text("in the way")
    made = latentty("generate", "x", *SMALL)
    assert made.returncode == 1
    assert "No picture can be written" in made.stderr
    pictures.unlink()
    assert latentty("generate", "x", *SMALL).returncode == 0, "and it works again when the cause has gone"


def test_ctrl_c_cancels_the_job_and_nothing_is_left(drawing: Path) -> None:
    shutil.rmtree(drawing / "pictures", ignore_errors=True)
    command = [sys.executable, "-m", "tui", "generate", "x", "--steps", "400", "--json", "--size", "64"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step"):
            break
    process.send_signal(signal.SIGINT)
    rest = [json.loads(line)["event"] for line in process.stdout]
    assert process.wait(10) == 130
    assert rest[-1] == "cancelled"
    assert pictures_below(drawing / "pictures") == []
    assert json.loads(latentty("engine", "status", "--json").stdout)["jobs"].popitem()[1]["state"] == "cancelled"


def test_a_script_outlives_the_worker_and_then_the_engine(home: Paths, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui", "generate", "x", "--steps", "60", "--size", "64", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step"):
            break
    told = read_engine_file(home.lock_file)
    assert told is not None
    children = Path(f"/proc/{told.pid}/task/{told.pid}/children")
    first = int(children.read_text())
    os.kill(first, signal.SIGKILL)
    while (second := children.read_text()).split() in ([], [str(first)]):
        time.sleep(0.01)
    os.kill(told.pid, signal.SIGKILL)
    rest, notes = process.communicate(timeout=120)
    events = [json.loads(line) for line in rest.splitlines()]
    assert process.returncode == 0, notes
    assert [event["event"] for event in events[-2:]] == ["saved", "done"]
    assert pictures_below(tmp_path / "pictures") == [Path(events[-2]["path"])]
    assert not Path(f"/proc/{second.strip()}").exists(), "an orphan would hold the GPU"


def test_a_script_whose_engine_cannot_come_back_ends_and_its_job_waits(home: Paths) -> None:
    command = [sys.executable, "-m", "tui", "generate", "x", "--json", *SMALL]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "queued"
    told = read_engine_file(home.lock_file)
    assert told is not None
    away = home.state.with_name("away")
    home.state.rename(away)
    home.state.write_text("in the way")
    os.kill(told.pid, signal.SIGKILL)
    rest, _ = process.communicate(timeout=60)
    failed = json.loads(rest.splitlines()[-1])
    assert (process.returncode, failed["event"], failed["code"]) == (1, "failed", "engine_unavailable")
    assert "goes on with the next engine" in failed["hint"]
    home.state.unlink()
    away.rename(home.state)
    assert latentty("engine", "start").returncode == 0
    (record,) = json.loads(latentty("engine", "status", "--json").stdout)["jobs"].values()
    assert record["job"]["prompt"] == "x"
    assert record["state"] in ("waiting", "running", "interrupted")


def test_the_engine_has_no_terminal_and_a_session_of_its_own(home: Paths) -> None:
    assert "running" in latentty("engine", "start").stdout
    told = read_engine_file(home.lock_file)
    assert told is not None
    fields = Path(f"/proc/{told.pid}/stat").read_text().rsplit(")", 1)[1].split()
    session, terminal = int(fields[3]), int(fields[4])
    assert session != os.getsid(0)
    assert terminal == 0
    modules = Path(f"/proc/{told.pid}/maps").read_text()
    assert "libtorch" not in modules
    assert "_multiarray_umath" not in modules
    latentty("engine", "stop")


def test_a_hung_engine_is_reported_and_ended_by_force(home: Paths) -> None:
    latentty("engine", "start")
    told = read_engine_file(home.lock_file)
    assert told is not None
    os.kill(told.pid, signal.SIGSTOP)
    made = latentty("generate", "x", *SMALL)
    assert made.returncode == 1
    assert "stop --force" in made.stderr
    assert "ended" in latentty("engine", "stop", "--force").stdout
    assert "running" in latentty("engine", "start").stdout, "the stale lock and socket are in nobody's way"


@pytest.mark.parametrize("command", [["generate", "a fox", "--image"], ["models", "get", "hf:a/b", "--to"]])
def test_an_argument_that_is_not_utf8_is_refused_in_a_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command, os.fsdecode(b"caf\xe9.png")])
    assert r"'caf\xe9.png' is not UTF-8" in capsys.readouterr().err


def test_twenty_clients_at_once_make_one_engine(home: Paths) -> None:
    command = [sys.executable, "-m", "tui", "engine", "start"]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(20)]
    answers = {starter.communicate(timeout=60)[0] for starter in starters}
    assert len(answers) == 1, answers


def test_an_engine_that_cannot_start_says_why(home: Paths) -> None:
    home.settings_file.parent.mkdir(parents=True, exist_ok=True)
    home.settings_file.write_text("autoload = maybe")
    begun = time.monotonic()
    made = latentty("generate", "x")
    assert made.returncode == 1
    assert "settings.toml" in made.stderr
    assert time.monotonic() - begun < 20


def test_the_models_are_listed(home: Paths) -> None:
    assert BUNDLED in latentty("models").stdout
    assert BUNDLED in latentty("models", "list", "emoji").stdout
    assert "one SOURCE" in latentty("models", "get").stderr
    assert json.loads(latentty("models", "--json").stdout)[0]["family"] == "stable-diffusion"


def test_the_models_of_this_processs_own_folders_are_listed_whatever_the_engine_knows(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert latentty("engine", "start").returncode == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "broken.safetensors").write_bytes(b"no header")
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(tmp_path / "elsewhere"))
    assert "broken" in latentty("models").stdout
    assert "pickle" not in latentty("models", "broken").stdout.split("\t")[6]
    monkeypatch.delenv("LATENTTY_MODEL_FOLDERS")
    assert "broken" not in latentty("models").stdout
