"""What is shipped: the wheel, its command, and what starting it costs."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import tui

ROOT = Path(tui.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_the_model_the_themes_and_the_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for wanted in (
        "tui/bundled/emoji-tiny/unet/diffusion_pytorch_model.safetensors",
        "tui/bundled/emoji-tiny/tokenizer/vocab.json",
        "tui/bundled/emoji-tiny-control-edges/diffusion_pytorch_model.safetensors",
        "tui/bundled/emoji-tiny-lora-pixel/pytorch_lora_weights.safetensors",
        "tui/bundled/emoji-tiny-lora-sketch/pytorch_lora_weights.safetensors",
        "tui/bundled/emoji-tiny-embedding-gilded/emoji-gilded.safetensors",
        "tui/bundled/README.md",
        "tui/bundled/training/subjects.toml",
        "tui/configurations/clip-tokenizer/vocab.json",
        "tui/configurations/stable-diffusion-xl/unet/config.json",
        "tui/themes/latentty.toml",
        "tui/screens/studio.tcss",
        "tui/py.typed",
    ):
        assert wanted in names
    licences = {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name and ".dist-info/" in name}
    assert {
        "LICENSE",
        "Apache-2.0-noto-emoji.txt",
        "MIT-fluent-emoji.txt",
        "MIT-openai-clip.txt",
        "Unicode-3.0.txt",
    } <= licences
    assert not any(name.startswith(("tests/", "themes/")) for name in names)


def test_the_command_starts_without_its_dependencies(wheel: Path, tmp_path: Path) -> None:
    """Help and version are instant: nothing but the standard library is needed for them."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    command = tmp_path / "venv" / "bin" / "latentty"
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert told == f"latentty {tui.__version__}\n"
    modules = subprocess.run(
        [python, "-X", "importtime", command, "--version"], capture_output=True, text=True, check=True
    ).stderr
    assert len(modules.splitlines()) < 150
    assert "generate" in subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["tui.app", "tui.cli", "tui.client", "tui.engine.process", "tui.headless.generate"])
def test_nothing_but_the_worker_loads_torch(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(name.split('.')[0] for name in sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"torch", "diffusers", "transformers", "numpy", "accelerate", "safetensors"}
    if module != "tui.engine.process":
        assert "sqlite3" not in loaded


def test_the_worker_does_not_load_textual() -> None:
    code = "import sys, tui.worker.pipelines; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "torch" in loaded.stdout.split()
    assert "textual" not in loaded.stdout.split()
