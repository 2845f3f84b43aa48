"""Rows that are whole processes: measured from outside, in a home folder of their own."""

import asyncio
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tui.client import EngineClient, start_engine
from tui.headless.engine_control import end
from tui.library.first_run import is_first_run
from tui.library.paths import Paths
from tui.protocol.events import ClientEvent
from tui.protocol.frames import Preview
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot

WITHIN: Final = 300.0
"""Seconds for any one of them."""

PAINTED_WITHIN: Final = 30.0
"""Seconds for a first paint."""

BARE_APP: Final = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("painted")
Bare().run()
"""

LOAD: Final = """
import sys, torch, diffusers
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = torch.bfloat16 if device == "cuda" else torch.float32
pipe = diffusers.DiffusionPipeline.from_pretrained(sys.argv[1], dtype=dtype, use_safetensors=True).to(device)
"""

DRAW: Final = (
    LOAD
    + """
pipe("a fox", num_inference_steps=15, generator=torch.Generator("cpu").manual_seed(7)).images[0].save("x.png")
"""
)


def home(folder: Path) -> dict[str, str]:
    """An environment whose every folder lies below `folder`."""
    names = {"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}
    names |= {"XDG_RUNTIME_DIR": "run", "LATENTTY_OUTPUT_FOLDER": "pictures"}
    for name in names.values():
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    return {name: str(folder / place) for name, place in names.items()} | {"HF_HUB_OFFLINE": "1"}


def first_paint(command: list[str], painted: bytes) -> float:
    """Seconds until a program in a terminal of its own, not opened for the first time, has written `painted`."""
    with tempfile.TemporaryDirectory() as folder:
        with _environment(home(Path(folder))):
            is_first_run(Paths.of_user().cache)
        begun = time.perf_counter()
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(home(Path(folder)) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"})
            os.execv(sys.executable, [sys.executable, *command])
        seen, answered = b"", False
        try:
            while painted not in seen and time.perf_counter() - begun < PAINTED_WITHIN:
                if select.select([terminal], [], [], 1.0)[0]:
                    seen += os.read(terminal, 65536)
                    if b"\x1b[c" in seen and not answered:  # what kind of terminal this is: a plain one
                        answered = os.write(terminal, b"\x1b[?62;22c") > 0
            taken = time.perf_counter() - begun
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(terminal)
            with _environment(home(Path(folder))):
                end(Paths.of_user(), force=True)
        if painted not in seen:
            raise LatenttyError(Problem(code="internal", cause=f"{' '.join(command)} painted nothing."))
        return taken


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables, for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def engine_ready(model: Path) -> float:
    """Seconds from no engine to one that has loaded `model`."""
    told = {"LATENTTY_AUTOLOAD_MODEL": str(model)}
    with tempfile.TemporaryDirectory() as folder, _environment(home(Path(folder)) | told):
        paths = Paths.of_user()
        begun = time.perf_counter()
        try:
            asyncio.run(_ready(paths))
            return time.perf_counter() - begun
        finally:
            end(paths, force=True)


class _Watcher:
    """Wakes whoever waits for the engine."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def engine_attached(self, snapshot: Snapshot) -> None:
        self.changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        self.changed.set()

    def engine_preview(self, preview: Preview) -> None:
        return

    def engine_detached(self, problem: Problem | None) -> None:
        return

    def engine_silent(self, problem: Problem | None) -> None:
        return


async def _ready(paths: Paths) -> None:
    watcher = _Watcher()
    await start_engine(paths)
    client = EngineClient(paths, watcher)
    staying = asyncio.create_task(client.run())
    async with asyncio.timeout(WITHIN):
        while not _has_loaded(client.snapshot):
            watcher.changed.clear()
            await watcher.changed.wait()
    staying.cancel()
    with suppress(asyncio.CancelledError):
        await staying


def _has_loaded(snapshot: Snapshot | None) -> bool:
    if snapshot is None or snapshot.residency is None or snapshot.loading is not None:
        return False
    return any(one.device != "disk" for one in snapshot.residency.components)


def script_seconds(script: str, *arguments: str) -> float:
    """Seconds that a plain Python script takes, as a process."""
    with tempfile.TemporaryDirectory() as folder:
        return _process([sys.executable, "-c", script, *arguments], home(Path(folder)), folder)


def generate_seconds(model: Path) -> float:
    """Seconds from no engine to a picture on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        environment = home(Path(folder))
        told = ["a fox", "--model", str(model), "--seed", "7", "--steps", "15"]
        command = [sys.executable, "-m", "tui", "generate", *told]
        try:
            return _process(command, environment, folder)
        finally:
            with _environment(environment):
                end(Paths.of_user(), force=True)


def _process(command: list[str], environment: Mapping[str, str], folder: str) -> float:
    begun = time.perf_counter()
    made = subprocess.run(
        command, env=os.environ | environment, cwd=folder, capture_output=True, text=True, timeout=WITHIN
    )
    if made.returncode:
        raise LatenttyError(Problem(code="internal", cause=f"{command[1:3]} failed: {made.stderr[-500:]}"))
    return time.perf_counter() - begun


def measured(name: str, way: str, model: Path) -> float:
    """Seconds of a row's way, "ours" or "naive".

    Raises:
        LatenttyError: a process failed, or took longer than :data:`WITHIN`.
    """
    ways: dict[tuple[str, str], Callable[[], float]] = {
        ("ui_first_paint", "ours"): lambda: first_paint(["-m", "tui"], b"Settings"),
        ("ui_first_paint", "naive"): lambda: first_paint(["-c", BARE_APP], b"painted"),
        ("engine_ready", "ours"): lambda: engine_ready(model),
        ("engine_ready", "naive"): lambda: script_seconds(LOAD, str(model)),
        ("first_picture", "ours"): lambda: generate_seconds(model),
        ("first_picture", "naive"): lambda: script_seconds(DRAW, str(model)),
    }
    try:
        return ways[name, way]()
    except (subprocess.TimeoutExpired, TimeoutError) as error:
        cause = f"It took longer than {WITHIN:.0f} s."
        raise LatenttyError(Problem(code="internal", cause=cause)) from error
