"""ControlNets on the disk: what they are, and which models they fit, from their configurations alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from tui.library.families import FAMILIES
from tui.library.listing import matches
from tui.library.models import read_json
from tui.library.paths import bundled_models, configurations
from tui.library.safetensors_header import read_header
from tui.protocol.events import ControlNetInfo, ModelInfo
from tui.protocol.job import Mode
from tui.protocol.problem import LatenttyError, Problem

CLASSES: Final = frozenset(name for family in FAMILIES.values() for name in family.controls)
"""The classes of ControlNet that some family can build."""

_MUST_AGREE: Final = ("cross_attention_dim", "joint_attention_dim", "caption_channels", "in_channels")
"""Settings that a ControlNet shares with the model that it was made for."""


def find_controlnets(folders: Iterable[Path], further: Iterable[Path] = ()) -> list[ControlNetInfo]:
    """The bundled ControlNets, every one that lies one level below `folders`, and those in `further`, by name.

    Those in `further` may be files.
    """
    places = [(path.parent, True) for path in sorted(bundled_models().glob("*/config.json"))]
    places += [(path.parent, False) for folder in folders for path in matches(folder, "*/config.json")]
    met = {path for path, _ in places}
    places += [(path, False) for path in further if path not in met]
    found: dict[str, ControlNetInfo] = {}
    for path, bundled in places:
        try:
            info = read_controlnet(path)
        except LatenttyError as error:
            info = ControlNetInfo(name=path.stem, path=str(path), class_name="", problem=error.problem)
        if info.class_name in CLASSES or (info.problem is not None and "control" in info.name.lower()):
            name = info.name if info.name not in found else str(path)
            found[name] = replace(info, name=name, bundled=bundled)
    return sorted(found.values(), key=lambda info: info.name)


def read_controlnet(path: Path) -> ControlNetInfo:
    """What the ControlNet at `path`, a folder or a file, is.

    Raises:
        LatenttyError: it is missing or damaged.
    """
    config = read_json(controlnet_configuration(path), "config.json")
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    weights = sum(read_header(file).bytes for file in files)
    return ControlNetInfo(
        name=path.stem if path.is_file() else path.name,
        path=str(path.absolute()),
        class_name=str(config.get("_class_name", "")),
        bytes=weights,
        inpainting=is_for_inpainting(config),
    )


def controlnet_configuration(path: Path) -> Path:
    """The folder with the configuration of the ControlNet at `path`: its own, or ours where it is a file alone.

    Raises:
        LatenttyError: it is a file that is damaged, or of no kind that we know.
    """
    if not path.is_file():
        return path
    names = read_header(path).tensors
    if "lora_controlnet" in names:
        raise _unusable(path, "it is a Control-LoRA, which diffusers cannot load")
    if any(name.startswith("lllite_") for name in names):
        raise _unusable(path, "it is a ControlNet-LLLite, which diffusers cannot load")
    if any(name.startswith("task_embedding") for name in names):
        raise _unusable(path, "it is a union in a file alone, without its configuration")
    told = {name.removeprefix("control_model."): tensor.shape for name, tensor in names.items()}
    known = any(name in told for name in ("input_hint_block.0.weight", "controlnet_cond_embedding.conv_in.weight"))
    width = next((shape[1] for name, shape in told.items() if name.endswith("attn2.to_k.weight")), 0)
    if not known or width not in _CONFIGURATIONS:
        raise _unusable(path, "it is of no kind that can be loaded from a file alone")
    return configurations() / "controlnet" / _CONFIGURATIONS[width]


_CONFIGURATIONS: Final = {768: "stable-diffusion-1", 1024: "stable-diffusion-2", 2048: "stable-diffusion-xl"}
"""By the width of the text that a ControlNet reads."""


def _unusable(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The ControlNet {path} cannot be used: {why}.",
            hint="Use the folder that diffusers has of it.",
        )
    )


def is_for_inpainting(config: Mapping[str, Any]) -> bool:
    """Whether the ControlNet with this configuration sees the picture and its mask beside the control image."""
    if any(config.get(name) for name in ("extra_conditioning_channels", "extra_condition_channels")):
        return True
    seen = config.get("control_in_dim")  # of Z-Image: the latents of the picture alone, or of more
    return seen is not None and seen != config.get("in_channels", 16)


def modes_of(controlnet: ControlNetInfo, model: ModelInfo) -> list[Mode]:
    """The modes of `model` in which `controlnet` works; none when it was made for another kind of model."""
    family = FAMILIES.get(model.family)
    if family is None or controlnet.class_name not in family.controls or controlnet.problem or model.problem:
        return []
    try:
        theirs = _denoiser_config(Path(model.configuration or model.path))
        ours = read_json(controlnet_configuration(Path(controlnet.path)), "config.json")
    except LatenttyError:
        return []
    if any(name in ours and name in theirs and ours[name] != theirs[name] for name in _MUST_AGREE):
        return []
    return list(family.control_pipelines(controlnet.class_name, inpainting=controlnet.inpainting))


def _denoiser_config(folder: Path) -> dict[str, Any]:
    name = "unet" if (folder / "unet").is_dir() else "transformer"
    return read_json(folder, f"{name}/config.json")


def unknown_controlnet(name: str, known: Iterable[ControlNetInfo]) -> LatenttyError:
    """The error for a ControlNet that is not there."""
    names = ", ".join(info.name for info in known) or "none"
    return LatenttyError(
        Problem(
            code="model_missing",
            cause=f"There is no ControlNet called {name!r}.",
            hint=f"Known are: {names}. A path to its folder works too.",
        )
    )
