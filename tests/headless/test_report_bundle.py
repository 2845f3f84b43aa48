"""What a bug report carries, and what it must not."""

import asyncio
import os
import stat
import zipfile
from pathlib import Path

import pytest

from tests.conftest import make_job
from tests.engine.conftest import Running, running
from tests.faults.test_privacy import TOKENS
from tui.cli import main
from tui.headless.report_bundle import Scrub, write_bundle
from tui.library.paths import Paths

__all__ = ["running"]
PRIVATE = "my grandmother on a horse"


def texts_of(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


async def test_a_bundle_tells_the_state_and_no_secret(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TOKENS.items():
        monkeypatch.setenv(name, value)
    paths = running.paths
    paths.config.mkdir(exist_ok=True)
    paths.settings_file.write_text(f'# token = "{TOKENS["HF_TOKEN"]}"\ntheme = "paper"\n')
    paths.log_file.write_text(f"a line\nGET https://me:{TOKENS['DATABASE_PASSWORD']}@host/ in {Path.home()}\n")
    attached = await running.attach()
    job = make_job(prompt=PRIVATE, negative_prompt=PRIVATE, prompt_template=PRIVATE, negative_template=PRIVATE)
    await attached.client.submit(job)
    await attached.end_of(job)
    file = tmp_path / "report.zip"
    await asyncio.to_thread(write_bundle, paths, file, {"more.txt": f"Bearer {TOKENS['HF_TOKEN']}"})
    texts = texts_of(file)
    assert set(texts) == {"about.txt", "environment.txt", "settings.toml", "engine.log", "engine.json", "more.txt"}
    assert job.id in texts["engine.json"]
    assert "a line" in texts["engine.log"]
    assert 'theme = "paper"' in texts["settings.toml"]
    assert "torch 2" in texts["about.txt"]
    assert "-[prompt]-" in texts["engine.json"], "the name of a picture's file tells no prompt either"
    for secret in (*TOKENS.values(), PRIVATE, "grandmother", str(Path.home())):
        assert not any(secret in text for text in texts.values()), secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_an_engine_the_rest_is_told(home: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.zip"
    assert main(["doctor", "--report", str(file)]) == 0
    assert "engine.json" not in texts_of(file)
    assert "Look through it" in capsys.readouterr().out
    assert main(["doctor", "--report", "/dev/null/report.zip"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_names_of_people_and_places_are_taken_out() -> None:
    scrub = Scrub({"HOME": "/home/ada", "HF_TOKEN": "hf_0123456789abcdef01"})
    assert scrub.text("/home/ada/x hf_0123456789abcdef01") == "~/x [hidden]"
    told = scrub.value({"jobs": [{"prompt": "a fox", "api_key": "x", "path": "/home/ada/p"}]})
    assert told == {"jobs": [{"prompt": "[5 letters]", "api_key": "[hidden]", "path": "~/p"}]}
    assert os.sep in told["jobs"][0]["path"]
    assert scrub.value({"prompt_2": "a fox", "variations": [{"negative_prompt": "red"}]}) == {
        "prompt_2": "[5 letters]",
        "variations": [{"negative_prompt": "[3 letters]"}],
    }
