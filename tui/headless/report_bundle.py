"""A bundle for a bug report: what helps to find a defect, without secrets, prompts or names of people and places."""

import asyncio
import getpass
import importlib.metadata
import io
import os
import platform
import re
import resource
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

import tui
from tui.headless.engine_control import read_snapshot
from tui.headless.json_line import json_line
from tui.library.bounded import read_small
from tui.library.paths import Paths
from tui.library.private_files import replace_file
from tui.library.secrets import HIDDEN, is_secret_name, redacted
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot

LOG_TAIL: Final = 300_000
"""Bytes of the log's end."""

LIBRARIES: Final = (
    "torch", "diffusers", "transformers", "safetensors", "accelerate", "peft", "tokenizers", "numpy", "pillow",
    "textual", "textual-image", "rich", "msgspec", "platformdirs", "tomlkit", "opencv-python-headless",
)  # fmt: skip

TELLING: Final = re.compile(
    r"^(LATENTTY_|XDG_|HF_|CUDA_|NVIDIA_|PYTORCH_|OMP_|LC_|LANG|TERM|COLORTERM|TMUX|SSH_TTY|PYTHON)", re.IGNORECASE
)
"""Environment variables that change how the program behaves."""

_PRIVATE_FIELD: Final = re.compile(r"prompt|template|^text$")
"""What a user wrote."""

_NAMED_AFTER: Final = re.compile(r"(?<=\d{6}-)[\w-]+(?=-\d+-[0-9a-f]{16}\.)")
"""The words of the prompt in the name of a picture's file."""


class Scrub:
    """Takes out of texts what is nobody else's business."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        home = environment.get("HOME", "")
        told = [(home, "~")] if len(home) > 1 else []
        names = [(getpass.getuser(), "[user]"), (platform.node(), "[host]")]
        self._replaced = told + [(name, instead) for name, instead in names if len(name) > 2 and name != "root"]

    def text(self, text: str) -> str:
        """`text` without secrets, words of prompts, the home folder, the user's name and the host's."""
        text = redacted(text, self._environment)
        for name, instead in self._replaced:
            text = text.replace(name, instead)
        return _NAMED_AFTER.sub("[prompt]", text)

    def value(self, value: Any) -> Any:
        """The same for everything inside of `value`; prompts become their length."""
        if isinstance(value, dict):
            return {str(key): self._field(str(key), one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.value(one) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def _field(self, name: str, value: Any) -> Any:
        if _PRIVATE_FIELD.search(name) and isinstance(value, str):
            return f"[{len(value)} letters]"
        return HIDDEN if is_secret_name(name) and isinstance(value, str) and value else self.value(value)


def write_bundle(paths: Paths, file: Path, more: Mapping[str, str]) -> list[str]:
    """Write the bundle to `file`, as a zip that its owner alone can read; the names of what is in it.

    `more` is further texts by their names, such as what a check of the installation told.

    Raises:
        LatenttyError: `file` cannot be written.
    """
    scrub = Scrub()
    texts = {
        "about.txt": _about(paths),
        "environment.txt": _environment(),
        "settings.toml": _settings(paths),
        "engine.log": _log_tail(paths.log_file),
        **more,
    }
    snapshot = _snapshot(paths)
    if snapshot is not None:
        texts["engine.json"] = json_line(scrub.value(msgspec.to_builtins(snapshot)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(name, scrub.text(text))
    try:
        replace_file(file, buffer.getvalue())
    except OSError as error:
        raise LatenttyError(
            Problem(
                code="output_unwritable",
                cause=f"The report cannot be written to {file}: {error.strerror}.",
                hint="Name another file: latentty doctor --report FILE",
            )
        ) from None
    return list(texts)


def _about(paths: Paths) -> str:
    lines = [f"Latentty {tui.__version__}", f"Python {sys.version}", platform.platform(), f"{os.cpu_count()} cores"]
    for name in LIBRARIES:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name} is missing")
    for folder in (paths.state, paths.pictures, paths.cache):
        there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
        lines.append(f"{folder}: {shutil.disk_usage(there).free / 2**30:.1f} GiB free")
    for name in ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NPROC"):
        lines.append(f"{name} {resource.getrlimit(getattr(resource, name))}")
    return "\n".join(lines) + "\n"


def _environment() -> str:
    told = sorted((name, value) for name, value in os.environ.items() if TELLING.match(name))
    return "".join(f"{name}={HIDDEN if is_secret_name(name) else value}\n" for name, value in told)


def _settings(paths: Paths) -> str:
    try:
        return read_small(paths.settings_file).decode(errors="replace")
    except OSError as error:
        return f"# {paths.settings_file}: {error.strerror}\n"


def _log_tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - LOG_TAIL, 0))
            return file.read(LOG_TAIL).decode(errors="replace")
    except OSError as error:
        return f"{path}: {error.strerror}\n"


def _snapshot(paths: Paths) -> Snapshot | None:
    try:
        return asyncio.run(read_snapshot(paths))
    except LatenttyError:
        return None  # none runs, or it does not answer, which the log tells
