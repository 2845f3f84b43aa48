"""The doctor tells on one screen what is here and what to do next, and imports no torch for it."""

import json
from pathlib import Path

import pytest

from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.cli import main
from tui.headless import doctor
from tui.headless.device_report import Gpu, Torch
from tui.headless.doctor import GIB
from tui.library.paths import Paths

WHOLE = files.SD1 | {"first_stage_model.encoder.conv_in.weight": [8, 3, 3, 3]}


def test_the_report_names_what_is_here(home: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["torch"]["version"]
    assert {one["section"] for one in told["findings"]} >= {"Device", "Disk", "Memory", "Terminal", "Session", "Models"}
    assert any("model_folders" in advice for advice in told["advice"])


def test_what_will_fit_is_told_on_one_screen(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        write_safetensors(tmp_path / "models" / f"{number} {'long ' * 30}.safetensors", WHOLE)
    for number, shapes in enumerate((files.KOHYA, files.LOHA, files.FLUX, files.SDXL)):
        write_safetensors(tmp_path / "models" / f"other {number}.safetensors", shapes)
    (tmp_path / "models" / "old.ckpt").write_bytes(bytes(5000))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(tmp_path / "models"))
    gpu = Gpu(name="Some GPU\x1b[31m", free=10 * GIB, total=24 * GIB)
    monkeypatch.setattr(doctor, "ask_torch", lambda: Torch(version="2.13", cuda="13.0", gpus=[gpu]))
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert len(told.splitlines()) <= 23
    assert max(map(len, told.splitlines())) <= 80
    assert "31 of 31 checkpoints fit the GPU" in told
    assert "found      31 checkpoints, " in told
    assert "2 checkpoints among them that lack a part" in told
    assert "\x1b" not in told


def test_a_torch_that_does_not_work_is_told_with_what_to_do(
    home: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "ask_torch", lambda: Torch(problem="ImportError: libcudart"))
    assert main(["doctor"]) == 1
    assert "Install torch again" in capsys.readouterr().out
