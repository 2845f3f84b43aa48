"""The user's settings: a typed tree, one TOML file, and environment variables over it.

`LATENTTY_OUTPUT_FOLDER=/data/pictures` or `LATENTTY_ENGINE_EXIT_AFTER=5` override the file for one process.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from tui.library.bounded import read_small, read_toml
from tui.library.paths import Paths, expanded
from tui.library.private_files import replace_file
from tui.protocol.problem import LatenttyError, Problem

PREFIX = "LATENTTY_"

Minutes = Annotated[float, Meta(ge=0, extra={"unit": "minutes, 0 for never"})]

EndSignal = Literal["bell", "osc9", "both", "off"]


class EngineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the engine gives back what it holds, and how long it waits for a worker. Minutes; 0 means never."""

    unload_after: Minutes = 15
    """Free the memory of every model."""
    end_worker_after: Minutes = 30
    """End the worker process, which returns the rest of the GPU's memory."""
    exit_after: Minutes = 120
    """End the engine itself, when no client is attached either."""
    report_stall_after: Minutes = 1
    """Say so when the worker is at work and gives no sign of life."""
    end_stalled_after: Minutes = 30
    """End a worker that gives none; its job runs once more on a new one."""
    memory_budget: Annotated[float, Meta(ge=0, extra={"unit": "GiB, 0 for what the device has room for"})] = 0
    """How much of the device's memory weights may take."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a user can set once for all."""

    output_folder: str = ""
    """Where pictures go; empty: `latentty` in the user's pictures folder."""
    model_folders: list[str] = field(default_factory=list)
    """Folders that hold models, each in a folder of its own."""
    picture_format: Literal["png", "jpg", "webp"] = "png"
    """Of new pictures. PNG keeps every bit; all three carry how a picture was made."""
    picture_quality: Annotated[int, Meta(ge=1, le=100)] = 95
    """Of JPEG and WEBP pictures."""
    other_programs: bool = True
    """Look for models in the folders of other programs, too: Hugging Face, ComfyUI, A1111, Forge, InvokeAI."""
    watch_models: bool = True
    """Look through the model folders in the background: at the start, and when something in them changes."""
    hash_models: bool = True
    """Read every model once in the background, while nothing is drawn, for the hashes by which pictures name it."""
    download_hosts: list[str] = field(
        default_factory=lambda: ["huggingface.co", "hf.co", "civitai.com", "r2.cloudflarestorage.com"]
    )
    """Hosts that models may be fetched from, with all hosts below them."""
    wildcard_folder: str = ""
    """Where wildcard files lie; empty: `wildcards` beside this file."""
    autoload: bool = True
    """Load a model when the engine starts."""
    autoload_model: str = ""
    """Which; empty: the one used last, or the bundled one."""
    compile_models: bool = False
    """Compile what draws before its first picture of each size: minutes once on each box, then quicker steps."""
    pinned_models: list[str] = field(default_factory=list)
    """Models that stay on the device when nothing happens, and go last when memory is short."""
    theme: str = "latentty"
    """Colours of the app."""
    preview: Literal["auto", "kitty", "iterm2", "sixel", "halfblock", "ascii", "off"] = "auto"
    """How pictures are shown in the terminal; auto takes the best way that the terminal has."""
    ring_after: Annotated[float, Meta(ge=0, extra={"unit": "seconds, 0 for never"})] = 30
    """Give a sign when a job ends that took so long."""
    ring_with: EndSignal = "bell"
    """Which sign: the terminal's bell, a notification of the desktop (OSC 9), or both."""
    engine: EngineSettings = field(default_factory=EngineSettings)

    def pictures(self, paths: Paths) -> Path:
        """The folder for new pictures."""
        return expanded(self.output_folder) if self.output_folder else paths.pictures

    def wildcards(self, paths: Paths) -> Path:
        """The folder of wildcard files."""
        return expanded(self.wildcard_folder) if self.wildcard_folder else paths.config / "wildcards"

    def models(self) -> list[Path]:
        """The folders to look for models in."""
        return [expanded(folder) for folder in self.model_folders]


def load_settings(paths: Paths, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings from the file and the environment.

    Raises:
        LatenttyError: a value is wrong; the message names the file, the field and why.
    """
    told: dict[str, Any] = {}
    source = str(paths.settings_file)
    try:
        if paths.settings_file.exists():
            told = read_toml(paths.settings_file, dict[str, Any])
        file_settings = msgspec.convert(told, Settings)
        source = "the environment"
        return msgspec.convert(_merge(msgspec.to_builtins(file_settings), environment), Settings, strict=False)
    except (OSError, msgspec.DecodeError) as error:
        raise LatenttyError(
            Problem(code="bad_request", cause=f"The settings in {source} cannot be used: {error}.", hint="Correct it.")
        ) from None


def _merge(told: dict[str, Any], environment: Mapping[str, str], prefix: str = PREFIX) -> dict[str, Any]:
    merged = dict(told)
    for name, value in told.items():
        variable = prefix + name.upper()
        if isinstance(value, dict):
            merged[name] = _merge(value, environment, variable + "_")
        elif variable in environment:
            given = environment[variable]
            merged[name] = given.split(os.pathsep) if isinstance(value, list) else given
    return merged


def save_setting(paths: Paths, name: str, value: object) -> Settings:
    """Write one setting, such as "theme" or "engine.exit_after", into the file, whose comments and order stay.

    Raises:
        LatenttyError: the value or the file is wrong, or the file cannot be written; it is then as it was.
    """
    # a tenth of the time until the app paints, which only saving shall cost
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = paths.settings_file
    try:
        document = tomlkit.parse(read_small(path).decode() if path.exists() else "")
        *tables, key = name.split(".")
        place: Any = document
        for table in tables:
            place = place.setdefault(table, tomlkit.table())
        place[key] = value
        settings = msgspec.convert(document.unwrap(), Settings)
        replace_file(path, tomlkit.dumps(document).encode())
    except (OSError, msgspec.ValidationError, UnicodeDecodeError, RecursionError, TOMLKitError) as error:
        raise LatenttyError(
            Problem(
                code="bad_request", cause=f"The setting {name} cannot be saved in {path}: {error}.", hint="Correct it."
            )
        ) from None
    return settings
