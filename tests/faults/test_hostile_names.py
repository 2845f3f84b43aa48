"""Names and texts from elsewhere: none steers a terminal, leads out of the output folder, or stops the engine."""

import io
import os
import random
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import get_args

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from textual.drivers.headless_driver import HeadlessDriver
from textual.screen import Screen
from textual.widgets import DataTable, Input, Log

from tests.conftest import make_job, pictures_below
from tests.engine.conftest import Running, running
from tests.faults.conftest import Tally
from tests.faults.test_hostile_files import small_safetensors
from tests.library.model_files import KOHYA_XL, write_safetensors
from tests.screens.conftest import until
from tests.screens.scripted import draw, open_scripted
from tui.cli import main
from tui.headless import doctor
from tui.headless.device_report import Gpu, Torch
from tui.headless.plain import PlainSession
from tui.headless.report import Report
from tui.library.controlnets import find_controlnets
from tui.library.models import BUNDLED, describe_model, find_models
from tui.library.paths import Paths, bundled_models
from tui.library.pictures import picture_path, stem_of
from tui.library.places import places
from tui.library.scanning import candidates, look_at
from tui.protocol.commands import MarkPictures, Rescan, StartSweep
from tui.protocol.download import DownloadPhase, DownloadState
from tui.protocol.events import DownloadChanged, Loading, Picture, Warning
from tui.protocol.job import Job, new_job_id
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.sweep import Axis, Sweep
from tui.screens.choose import ChooseScreen
from tui.screens.compare import CompareScreen
from tui.screens.help import HelpScreen
from tui.screens.mask_editor import MaskEditor
from tui.screens.queue import QueueScreen
from tui.screens.sweep import SweepScreen
from tui.screens.tour import TourScreen
from tui.screens.viewer import ViewerScreen
from tui.theme_files import read_themes
from tui.widgets.picture_grid import PictureGrid

CONTROL = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
NAMES = [
    "two\nlines", "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "gnp.\u202egpj", "\u2066isolated", "tab\there", "\r\rback",
    "-rf", "~", "a" * 255, "é" * 127, "\U0001f9d1\u200d\U0001f3a8", "'; DROP TABLE job; --", "[bold red]markup", "%s%n",
    "C:\\x", " ", "\u2028line", "\ufeffmark", "\x7f\x08", "$(id)", "`id`", "&amp;<b>", "[@click=app.quit]x", "con",
    "...", ".hidden",
]  # fmt: skip
"""What a file or a folder may be called."""

TOLD = " ".join(NAMES)
"""What any text from elsewhere may be."""


def steers(text: str) -> set[str]:
    """The characters of `text` that a terminal could obey or be confused by; line ends and emoji joiners are none."""
    return {letter for letter in text if unicodedata.category(letter) in CONTROL and letter not in "\n\u200d"}


__all__ = ["running"]


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    """A folder of models, ControlNets and themes, damaged and sound, whose names are what names can be."""
    folder = tmp_path / "models"
    for number, name in enumerate([*(os.fsencode(name) for name in NAMES), b"not\xffutf-8"]):
        place = os.fsencode(folder) + b"/" + name
        os.makedirs(place, exist_ok=True)  # noqa: PTH103
        with open(place + b"/model_index.json", "wb") as file:  # noqa: PTH123
            file.write(
                [b"{", b'{"_class_name": "\x1b[31mPipeline\\u001b[2J"}', b'{"a\\u001b[1m": ["x", "y"]}'][number % 3]
            )
    shutil.copytree(bundled_models() / "emoji-tiny-control-edges", folder / "net\x1b[31m\u202econtrol")
    shutil.copytree(bundled_models() / BUNDLED, folder / "sound\x1b[31m\u202emodel")
    return folder


def run(*arguments: str) -> str:
    """Everything that `latentty` prints when its output is a terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    told = Terminal()
    with redirect_stdout(told), redirect_stderr(told), suppress(SystemExit):
        main(arguments)
    return told.getvalue()


def test_no_print_of_the_command_line_steers_the_terminal(
    home: Paths, hostile_folder: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")  # so that no escape sequence is the program's own
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(hostile_folder))
    home.state.mkdir(parents=True, exist_ok=True)
    home.log_file.write_bytes("\n".join(NAMES).encode() + b"\xff\x9b31m\n")
    odd = "\x1b[31mowned\u202e"
    torch = Torch(version=odd, cuda=odd, gpus=[Gpu(name=odd, free=1, total=2)])
    monkeypatch.setattr(doctor, "ask_torch", lambda: torch)
    for arguments in (
        ("models",),
        ("models", "owned"),
        ("models", "--json"),
        ("models", "get", f"hf:{odd}/{odd}"),
        ("doctor",),
        ("doctor", "--json"),
        ("doctor", "--report", f"/dev/null/{odd}"),
        ("generate", odd, "--model", odd),
        ("generate", odd, odd),
        ("generate", odd, "--size", odd),
        ("generate", odd, "--control", odd),
        ("generate", odd, "--image", odd),
        (odd,),
        ("engine", "logs"),
        ("engine", "status"),
        ("engine", "status", "--json"),
        ("engine", "stop"),
    ):
        told = run(*arguments)
        tally.tried += 1
        tally.lost += len(steers(told))
        assert not steers(told), f"{arguments}: {steers(told)!r}"
    assert "owned" in run("models"), "what is harmless of a hostile name is shown"
    monkeypatch.setenv("LATENTTY_ENGINE_EXIT_AFTER", "\x1b[31mnever\u202e")
    assert not steers(run("models"))
    monkeypatch.delenv("LATENTTY_ENGINE_EXIT_AFTER")
    home.config.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        home.settings_file.write_text(f"{name} = {name}")
        tally.tried += 1
        tally.lost += len(steers(run("models")))
    assert tally.lost == 0


async def test_no_line_of_a_plain_session_steers_the_terminal(hostile: Running, tally: Tally) -> None:
    told = io.StringIO()
    odd = "\x1b[31mx\u202e"
    lines = [
        "/help",
        "/queue",
        "/model",
        f"/model {odd}",
        f"/set {odd} 1",
        f"/set scheduler {odd}",
        odd,
        "/retry",
        f"/{odd}",
    ]
    session = PlainSession(hostile.paths, io.StringIO("\n".join(lines)), told)
    assert await session.run() == 0
    tally.tried = len(told.getvalue().splitlines())
    assert not steers(told.getvalue())
    assert "owned" in told.getvalue()


@given(text=st.text(st.characters(categories=["Cc", "Cf", "Co", "Zl", "Zp", "L", "Nd"]), max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_report_of_generate_steers_the_terminal(text: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    told, wrong = Terminal(), io.StringIO()
    with redirect_stdout(told), redirect_stderr(wrong):
        with Report(as_json=False) as report:
            report.queued(make_job(prompt=text))
            report.loading(Loading(model=text, component=text, done_bytes=1, total_bytes=1))
            picture = Picture(id=1, job_id="0" * 16, index=0, path=text, seed=1, width=1, height=1, created=1.0)
            report.saved(picture, None)
            report.note(Problem(code="internal", cause=text, hint=text))
            report.failed(Problem(code="internal", cause=text, hint=text))
        with Report(as_json=True) as report:
            report.failed(Problem(code="internal", cause=text, hint=text))
            report.saved(picture, None)
    assert not steers(told.getvalue() + wrong.getvalue())


def test_hostile_folders_are_listed_or_left_out_and_stop_nothing(hostile_folder: Path, tally: Tally) -> None:
    models = find_models([hostile_folder])
    tally.tried = len(models)
    assert len(models) == len(NAMES) + 2, "those that are no text are left out"
    assert sum(model.problem is None for model in models) == 2
    assert any(info.problem is None and not info.bundled for info in find_controlnets([hostile_folder]))
    for folder in (
        hostile_folder / "missing",
        hostile_folder / "sound\x1b[31m\u202emodel" / "model_index.json",
        Path("a" * 5000),
    ):
        assert [model.name for model in find_models([folder])] == [BUNDLED]
    loop = hostile_folder / "loop"
    loop.symlink_to(loop)
    (hostile_folder / "up").symlink_to("..")
    assert describe_model(loop).problem is not None
    assert len(find_models([hostile_folder])) == len(models)
    themes, problems = read_themes([hostile_folder])
    assert (themes, problems) == ([], [])


def test_hostile_files_of_weights_are_listed_by_name_and_what_is_no_file_has_its_problem(
    tmp_path: Path, tally: Tally
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    names = [name.encode()[: 255 - len(".safetensors")].decode(errors="ignore") for name in NAMES]
    for name in names:
        (folder / f"{name}.safetensors").write_bytes(small_safetensors())
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "link.safetensors").symlink_to(folder / "pipe.safetensors")
    (folder / "folder.safetensors").mkdir()
    found = [file for one in candidates(places([folder], others=False)) for file in look_at(one)]
    tally.tried = len(names)
    sound = [file for file in found if file.problem is None]
    assert {Path(file.path).stem for file in sound} == {name for name in names if not name.startswith(".")}
    assert {file.kind for file in sound} == {"lora"}
    assert {file.name for file in found if file.problem is not None} <= {"pipe", "link"}


@pytest.fixture
async def hostile(home: Paths, hostile_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """An engine with hostile models and LoRAs, whose jobs, pictures, sweeps, prompts, settings, downloads, warnings and
    log are hostile, too."""
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setenv("LATENTTY_WATCH_MODELS", "false")
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(hostile_folder))
    wrong = Problem(code="internal", cause=TOLD, hint=TOLD)
    home.prompts.mkdir(parents=True)
    home.themes.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        with suppress(OSError):  # too long with its ending
            (home.prompts / f"{name}.toml").write_text(tomlkit.dumps({"prompt": f"{name} {{}}"}))
            theme = {"name": name, "primary": "#fff"} if number % 2 else {"name": name}
            (home.themes / f"{name}.toml").write_text(tomlkit.dumps(theme))
    odd = "\x1b[31mowned\u202e"
    told = {
        "ss_output_name": TOLD,
        "modelspec.title": odd,
        "modelspec.trigger_phrase": odd,
        "ss_base_model_version": odd,
    }
    for name in NAMES[:8]:
        write_safetensors(hostile_folder / "loras" / f"{name[:40]}.safetensors", KOHYA_XL, told)
    home.settings_file.write_text(
        tomlkit.dumps({"autoload_model": odd, "download_hosts": [odd], "wildcard_folder": odd})
    )
    home.keymap_file.write_text(tomlkit.dumps({"keys": {TOLD: TOLD}}))
    home.log_file.parent.mkdir(parents=True, exist_ok=True)
    home.log_file.write_bytes(TOLD.encode() + b"\xff\x9b31m\n")
    running = Running(home)
    running.script.fail[TOLD] = wrong
    await running.start()
    attached = await running.attach()
    client = attached.client
    assert running.engine is not None
    axes = [Axis(name="prompt", values=[odd, f"{odd} 2"]), Axis(name="seed", values=["1", "2"])]
    await client.request(StartSweep(sweep=Sweep(id=new_job_id(), base=make_job(prompt=f"{odd} swept"), axes=axes)))
    await attached.until(lambda: len(attached.snapshot.pictures) == 4)
    for picture in attached.snapshot.pictures:
        Image.new("RGB", (96, 64), "red").save(picture.path)
    await draw(running, f"{TOLD} drawn", f"{TOLD} another", negative_prompt=TOLD)
    pictures = [picture.id for picture in client.snapshot.pictures] if client.snapshot is not None else []
    await client.request(MarkPictures(pictures=pictures, add_tags=["\x1b[31mtag\u202e"]))
    await client.submit(make_job(prompt=TOLD, negative_prompt=TOLD))
    tell = running.engine._board.tell
    for number, phase in enumerate(get_args(DownloadPhase)):
        download = DownloadState(
            id=f"{number}" * 16, source=TOLD, folder=TOLD, title=TOLD, license=TOLD, paths=[TOLD], problem=wrong,
            waiting=TOLD, phase=phase, done_bytes=1, total_bytes=2, rate=1.0,
        )  # fmt: skip
        tell(DownloadChanged(download=download))
    await client.request(Rescan())
    tell(Warning(problem=wrong, lasting=True))
    tell(Loading(model=TOLD, component=TOLD, done_bytes=1, total_bytes=2))
    yield running
    await running.stop()


async def test_no_screen_steers_the_terminal(
    hostile: Running, tally: Tally, monkeypatch: pytest.MonkeyPatch, times: Callable[[int, int], int]
) -> None:
    """Every screen, wide and small, and what else is written to the terminal: titles, notifications, what is copied."""
    seen: Counter[str] = Counter()
    written: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "write", lambda self, data: written.append(data))
    async with open_scripted(hostile, 160, 50) as pilot:
        app = pilot.app

        async def look(*keys: str, true: Callable[[], object] = lambda: True, small: bool = False) -> None:
            await pilot.press(*keys)
            await until(pilot, true)
            for size in ((80, 24), (160, 50)) if small else (app.size,):
                if size != app.size:
                    await pilot.resize_terminal(*size)
                await pilot.pause()
                for strip in app.screen._compositor.render_strips(app.size):
                    tally.tried += 1
                    tally.lost += len(steers(strip.text))
                    assert not steers(strip.text), f"{app.screen}: {strip.text!r}"
            seen[type(app.screen).__name__] += 1

        def on(kind: type) -> Callable[[], bool]:
            return lambda: isinstance(app.screen, kind)

        await until(pilot, lambda: app._client.snapshot is not None and app._client.snapshot.warnings)
        assert any("owned" in note.message for note in app._notifications), "a lasting warning is told on attaching"
        await look()
        app._studio.prompts.fill(TOLD, TOLD)
        await look(small=True)
        await look("ctrl+p")
        await look("escape", "f1", true=on(HelpScreen))
        await look("escape", "ctrl+r", true=on(ChooseScreen))
        await pilot.press("escape")
        app.push_screen(TourScreen(""))
        await look(true=on(TourScreen))
        await look("escape", "escape", "o", true=on(MaskEditor))
        await look("escape", "f9", true=on(ViewerScreen))
        await look("escape", "f3", true=lambda: app.screen.query_one(PictureGrid)._images, small=True)
        await look("space", "space", "c", true=on(CompareScreen))
        await look("escape", "f4", true=on(QueueScreen), small=True)
        await look("f5", true=lambda: app.screen.query_one(DataTable).row_count, small=True)
        table = app.screen.query_one(DataTable)
        for number in range(times(5, table.row_count)):
            table.move_cursor(row=number * (table.row_count // times(5, table.row_count)))
            await look("down")
        await look("f6", true=lambda: on(SweepScreen)() and app.screen.query_one(PictureGrid)._images, small=True)
        await pilot.press("n")
        app.screen.query_one(Input).value = "prompt=\x1b[31mred,\u202eblue"
        await look("enter")
        await look("f7", true=lambda: app.screen.query_one(DataTable).row_count, small=True)
        await look("f8", true=lambda: app.screen.query_one(Log).line_count)
        app.action_change_theme()
        await look()
    assert "Latentty" in "".join(written)
    assert "owned" not in "".join(re.findall(r"\x1b\]0;(.*?)\x07", "".join(written)))
    assert not steers(re.sub(r"\x1b(\]\d*;[^\x07\x1b]*(\x07|\x1b\\\\)|\[[?>=<\d;]*[a-zA-Z]|.)", "", "".join(written)))
    screens = {kind.__name__ for kind in every(Screen) if kind.__module__.startswith("tui.screens.")}
    assert screens - set(seen) <= {"EngineScreen", "UndoingScreen"}, "every screen was seen"
    tally.note = f"lines of {', '.join(sorted(seen))}"


def every(kind: type) -> set[type]:
    """All that is derived from `kind`."""
    return {kind, *(one for child in kind.__subclasses__() for one in every(child))}


def test_no_name_leads_out_of_the_output_folder(
    tally: Tally, tmp_path: Path, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    root = tmp_path / "pictures"
    parts = [*NAMES, "..", "/", "../../etc/passwd", "\0", "\\", ".", "//", "a/../..", "\u2215", "\uff0f", "％2e％2e"]
    for _ in range(times(3000, 100_000)):
        prompt = "".join(chance.choice(parts) for _ in range(chance.randint(0, 6)))
        job = make_job(prompt=prompt, seed=chance.randrange(2**63))
        path = picture_path(job, chance.randrange(1000), chance.uniform(0, 4e9), root)
        tally.tried += 1
        inside = path.parent.parent == root and Path(os.path.normpath(path)) == path
        tally.lost += not inside or bool(steers(str(path))) or len(os.fsencode(path.name)) > 255
        assert not stem_of(job, 1e9).startswith("/")
    assert tally.lost == 0


async def test_a_file_name_of_ones_own_cannot_leave_its_folder(running: Running, tally: Tally, tmp_path: Path) -> None:
    attached = await running.attach()
    names = ["../x", "/etc/x", "a/b", "..", ".", ".x", "x\0y", "x" * 241, "é" * 121]
    for name in names:
        tally.tried += 1
        with pytest.raises(LatenttyError):
            await attached.client.submit(make_job(file_stem=name, folder=str(tmp_path / "mine")))
    for folder in ("relative", "../up", "", "\0/x"):
        if folder:
            tally.tried += 1
            with pytest.raises(LatenttyError):
                await attached.client.submit(make_job(file_stem="x", folder=folder))
    jobs: list[Job] = [
        make_job(file_stem=name, folder=str(tmp_path / "mine")) for name in NAMES if len(name.encode()) < 241
    ]
    for job in jobs:
        if not job.file_stem.startswith("."):
            tally.tried += 1
            await attached.client.submit(job)
            assert (await attached.end_of(job)).state == "done"
    assert all(path.parent == tmp_path / "mine" for path in pictures_below(tmp_path / "mine"))
    assert {path.name for path in tmp_path.iterdir()} <= {"home", "config", "state", "cache", "run", "mine"}
