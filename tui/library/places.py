"""Where models lie: the folders of the settings, and those in which other programs keep theirs."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct

from tui.library.bounded import read_small
from tui.library.paths import expanded, short_path
from tui.library.settings import Settings

WEB_UIS: Final = (
    "stable-diffusion-webui",
    "stable-diffusion-webui-forge",
    "sd-webui-forge",
    "stable-diffusion-webui-reForge",
)
COMFY_UIS: Final = ("ComfyUI", "comfyui", "comfy/ComfyUI")
EXTRA_PATHS: Final = "extra_model_paths.yaml"


MAX_EXTRA: Final = 64_000
"""Bytes of such a file that is read."""

MAX_DEEP: Final = 20
"""Brackets within brackets in such a file; the reader looks at each open one again for every word."""


class _Texts(yaml.BaseLoader):  # type: ignore[misc]
    """Reads YAML as texts, lists and tables; a name for anything but a text is refused, since a few lines of lists
    that name each other a few times over stand for more than any memory holds."""

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level >= MAX_DEEP:
            raise yaml.YAMLError("too many brackets within each other")
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if alias and not isinstance(node, yaml.ScalarNode):
            raise yaml.YAMLError("a list or table stands in two places")
        return node


class Place(Struct, frozen=True, kw_only=True):
    """A folder that is looked through, and whose it is."""

    path: Path
    owner: str


def places(folders: list[Path], *, others: bool, environment: Mapping[str, str] = os.environ) -> list[Place]:
    """The folders of the settings, then, when `others`, what other programs keep; each once, none inside another.

    A folder of the settings may be another program's own: its `extra_model_paths.yaml` is followed.
    """
    found = [one for folder in folders if not why_not(folder) for one in _given(folder)]
    if others:
        found += _others(environment)
    kept: list[Place] = []
    seen: list[Path] = []
    for place in found:
        try:
            if not place.path.is_dir():
                continue
            real = place.path.resolve()
        except (OSError, RuntimeError, ValueError):
            continue  # a loop of links, a folder that may not be entered, or no path at all
        if not any(real.is_relative_to(one) for one in seen):
            seen.append(real)
            kept.append(place)
    return kept


def out_of_reach(folders: list[Path]) -> list[str]:
    """Of the folders that the settings name, those that cannot be looked through now, each with the reason."""
    return [f"{short_path(folder)} {why}" for folder in folders if (why := why_not(folder))]


def why_not(folder: Path) -> str:
    """Why `folder` cannot be looked through, such as "may not be entered"; empty when it can."""
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return "is not there: is its disk mounted?"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "is no path"
    return "" if os.access(folder, os.X_OK) else "may not be entered"


def lending(settings: Settings) -> list[Path]:
    """The folders in which what a checkpoint in a single file lacks is searched for."""
    return [place.path for place in places(settings.models(), others=settings.other_programs)]


def _given(folder: Path) -> Iterator[Place]:
    owner = "folder"
    if _is_there(folder / "models" / "Stable-diffusion"):
        owner = "A1111"
    elif _is_there(folder / "invokeai.yaml"):
        owner = "InvokeAI"
    elif _is_there(folder / EXTRA_PATHS) or _is_there(folder / "models" / "checkpoints"):
        owner = "ComfyUI"
    yield Place(path=folder, owner=owner)
    yield from _extra(folder / EXTRA_PATHS)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # its folder may not be entered


def _others(environment: Mapping[str, str]) -> Iterator[Place]:
    home = Path(environment.get("HOME") or Path.home())
    yield Place(path=hugging_face_cache(environment), owner="Hugging Face")
    for name in COMFY_UIS:
        root = home / name
        yield Place(path=root / "models", owner="ComfyUI")
        yield from _extra(root / EXTRA_PATHS)
    for name in WEB_UIS:
        yield Place(path=home / name / "models", owner="A1111")
        yield Place(path=home / name / "embeddings", owner="A1111")
    yield Place(path=Path(environment.get("INVOKEAI_ROOT") or home / "invokeai") / "models", owner="InvokeAI")


def hugging_face_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Where Hugging Face's library keeps what it downloaded."""
    if given := environment.get("HF_HUB_CACHE"):
        return expanded(given)
    if given := environment.get("HF_HOME"):
        return expanded(given) / "hub"
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(cache) / "huggingface" / "hub"


def _extra(path: Path) -> Iterator[Place]:
    """The folders in ComfyUI's file of further ones; a file that cannot be read names none."""
    try:
        told = yaml.load(read_small(path, MAX_EXTRA), _Texts)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return
    for section in told.values() if isinstance(told, dict) else ():
        if isinstance(section, dict):
            yield from _section(path.parent, section)


def _section(beside: Path, section: dict[Any, Any]) -> Iterator[Place]:
    given = section.get("base_path", "")
    base = beside / expanded(given) if isinstance(given, str) else beside
    for name, value in section.items():
        if name not in ("base_path", "is_default", "custom_nodes") and isinstance(value, str):
            for line in value.splitlines():
                if line.strip():
                    yield Place(path=base / line.strip(), owner="ComfyUI")
