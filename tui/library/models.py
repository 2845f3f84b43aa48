"""Models on the disk: finding them and telling what they are, without loading a weight."""

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tui.library.bounded import read_small, read_toml
from tui.library.families import Family, family_of
from tui.library.listing import matches
from tui.library.other_models import pipeline_not_drawn_with
from tui.library.paths import bundled_models
from tui.library.safetensors_header import read_header
from tui.library.schedulers import OWN, offered, own_scheduler
from tui.library.weight_files import weight_files
from tui.protocol.events import ModelInfo
from tui.protocol.job import Mode
from tui.protocol.problem import LatenttyError, Problem

BUNDLED: Final = "emoji-tiny"
"""The model that comes with the program."""

DEFAULTS_FILE: Final = "latentty.toml"
"""Optional, in a model's folder: the settings that suit this model, over its family's."""

MAX_NAME: Final = 64
"""Letters of a component's name, which is a folder's too."""

MAX_JSON: Final = 16_000_000
"""Bytes of the largest configuration file that is read."""

MAX_SIZE: Final = 16_384
"""Pixels along one side that a model may say it was trained for."""

MAX_LEVELS: Final = 16
"""Of an autoencoder, each of which halves width and height."""

_PICKLES = {".bin", ".ckpt", ".pt", ".pth"}


class _Defaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None


def find_models(folders: Iterable[Path], further: Iterable[ModelInfo] = ()) -> list[ModelInfo]:
    """The bundled model, every diffusers model one level below `folders`, and those in `further`, by name.

    Damaged ones are listed with their problem; of two with one name, the later is called by its path.
    """
    found: dict[str, ModelInfo] = {}
    places = [(bundled_models() / BUNDLED, True)]
    places += [(path.parent, False) for folder in folders for path in matches(folder, "*/model_index.json")]
    for path, bundled in places:
        info = describe_model(path)
        name = info.name if info.name not in found else str(path)
        found[name] = replace(info, name=name, bundled=bundled)
    met = {info.path for info in found.values()}
    for info in further:
        if info.path not in met:
            name = info.name if info.name not in found else info.path
            found[name] = replace(info, name=name)
    return sorted(found.values(), key=lambda info: (info.bundled, info.name.lower(), info.name))


def describe_model(folder: Path) -> ModelInfo:
    """What the model in `folder` is; a model that cannot be used carries its problem."""
    try:
        return read_model(folder)
    except LatenttyError as error:
        return ModelInfo(name=folder.name, path=str(folder), family="", problem=error.problem)


def read_model(folder: Path) -> ModelInfo:
    """What the diffusers model in `folder` is.

    Raises:
        LatenttyError: it is missing, damaged, of an unknown family, or in a format that we do not open.
    """
    index = _read_index(folder)
    family = family_of(index)
    if family is None:
        raise _unusable(folder, pipeline_not_drawn_with(index), "Choose another model.")
    weights = sum(_check_component(folder, name) for name, entry in index.items() if _is_component(entry))
    info = info_of(folder, family, folder, read_json(folder, "scheduler/scheduler_config.json"), weights)
    defaults = msgspec.to_builtins(_read_defaults(folder))
    return replace(info, **{name: value for name, value in defaults.items() if value is not None})


def info_of(path: Path, family: Family, configuration: Path, scheduler: dict[str, Any], weights: int) -> ModelInfo:
    """The model at `path` with its family's rules; `configuration` is the folder that tells about its parts.

    Raises:
        LatenttyError: a configuration is damaged, or of a model that none of our modes serves.
    """
    size = _native_size(configuration, family)
    schedulers = list(family.schedulers) or offered(family.scheduler_kind)
    own = own_scheduler(scheduler)
    if own not in schedulers:
        own = OWN
        schedulers = [own, *(one for one in schedulers if one != own)]
    return ModelInfo(
        name=path.stem if path.is_file() else path.name,
        path=str(path.absolute()),
        configuration="" if configuration == path else str(configuration),
        family=family.id,
        bytes=weights,
        size_multiple=family.size_multiple,
        steps=family.steps,
        guidance_scale=family.guidance_scale,
        scheduler=own,
        schedulers=schedulers,
        modes=_modes(configuration, family),
        negative_prompt=family.negative_prompt,
        weighting=family.weighting,
        clip_skip=family.clip_skip,
        second_prompt=family.second_prompt,
        width=size,
        height=size,
    )


def _read_index(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise LatenttyError(
            Problem(
                code="model_missing",
                cause=f"The model folder {folder} is not there.",
                hint="Put it back, or choose another model.",
            )
        )
    return read_json(folder, "model_index.json")


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object in the file `name` of a model's folder.

    Raises:
        LatenttyError: it is missing or no JSON object.
    """
    # the standard library's parser: diffusers writes -Infinity into scheduler configurations
    path = folder / name
    try:
        value = json.loads(read_small(path, MAX_JSON))
    except OSError as error:
        raise _unusable(folder, f"{name} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise _unusable(folder, f"{name} is no valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise _unusable(folder, f"{name} is no JSON object")
    try:
        msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):  # halves of letters, numbers of more than 64 bits
        raise _unusable(folder, f"{name} holds what no message could tell") from None
    return value


def _is_component(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(one, str) for one in entry)


def _check_component(folder: Path, name: str) -> int:
    """The bytes of a component's weights; every file's header is read and checked."""
    place = folder / name
    if not name.isidentifier() or len(name) > MAX_NAME or not place.is_dir():
        raise _unusable(folder, f"its component {name} is missing")
    _refuse_lacking_package(folder, name)
    files = weight_files(place)
    if not files and any(path.suffix in _PICKLES for path in place.iterdir()):
        raise _unusable(
            folder,
            f"the weights of {name} are a Python pickle, which can run code when it is opened",
            "Convert it to safetensors where you trust it: pipeline.save_pretrained(..., safe_serialization=True)",
        )
    if not files and (place / "config.json").exists():
        lends = " Its other parts it lends to single files." if name in ("transformer", "unet") else ""
        raise _unusable(folder, f"the weights of {name} are missing", f"Copy or download the model again.{lends}")
    return sum(read_header(path).bytes for path in files)


_QUANTISERS: Final = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "gguf": "gguf"}
"""Packages that read a component which was saved quantised, by the method that its configuration names."""


def _refuse_lacking_package(folder: Path, name: str) -> None:
    """Nothing, unless the component was saved quantised and what reads it is not installed."""
    if not (folder / name / "config.json").is_file():
        return
    told = read_json(folder, f"{name}/config.json").get("quantization_config")
    method = str(told.get("quant_method", "")) if isinstance(told, dict) else ""
    if not method:
        return
    package = _QUANTISERS.get(method)
    if package is None:
        raise _unusable(folder, f"its {name} was quantised by {method!r}, which is not supported")
    if find_spec(package) is None:
        raise _unusable(
            folder,
            f"its {name} was quantised by {method}, and the package {package} is not installed",
            f'Install it: pip install "latentty[{package}]"',
        )


def _modes(folder: Path, family: Family) -> list[Mode]:
    """What the model can do: a denoiser that takes the mask in can do nothing without one."""
    if family.inpainting_channels is None or not (folder / "unet" / "config.json").exists():
        return list(family.pipelines)
    channels = read_json(folder, "unet/config.json").get("in_channels")
    if channels == family.inpainting_channels:
        return [mode for mode in family.pipelines if mode in ("inpaint", "outpaint")]
    if channels != 4:
        raise _unusable(folder, f"its denoiser takes in {channels} channels, which none of our modes gives it")
    return list(family.pipelines)


def _native_size(folder: Path, family: Family) -> int:
    unet, vae = "unet/config.json", "vae/config.json"
    if not ((folder / unet).exists() and (folder / vae).exists()):
        return family.size
    sample = read_json(folder, unet).get("sample_size")
    levels = read_json(folder, vae).get("block_out_channels")
    if not isinstance(sample, int) or not isinstance(levels, list):
        return family.size
    size = sample * 2 ** (min(len(levels), MAX_LEVELS) - 1) if levels else 0
    return int(size) if 0 < size <= MAX_SIZE else family.size


def _read_defaults(folder: Path) -> _Defaults:
    path = folder / DEFAULTS_FILE
    try:
        return read_toml(path, _Defaults)
    except FileNotFoundError:
        return _Defaults()
    except (OSError, msgspec.DecodeError) as error:
        raise _unusable(folder, f"{path.name} cannot be used ({error})", f"Correct {path}, or remove it.") from None


def _unusable(folder: Path, why: str, hint: str = "Copy or download the model again.") -> LatenttyError:
    return LatenttyError(Problem(code="model_damaged", cause=f"The model {folder} cannot be used: {why}.", hint=hint))
