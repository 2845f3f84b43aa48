"""ControlNets on the disk: what they are, and which models they fit, from their configurations alone."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from tui.library.families import FAMILIES
from tui.library.listing import matches
from tui.library.models import read_json
from tui.library.paths import bundled_models, configurations
from tui.library.safetensors_header import read_header
from tui.library.weight_files import weight_files
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
    config = controlnet_config(path)
    files = [path] if path.is_file() else weight_files(path)
    weights = sum(read_header(file).bytes for file in files)
    return ControlNetInfo(
        name=path.stem if path.is_file() else path.name,
        path=str(path.absolute()),
        class_name=str(config.get("_class_name", "")),
        bytes=weights,
        inpainting=is_for_inpainting(config),
    )


def controlnet_config(path: Path) -> dict[str, Any]:
    """The configuration of the ControlNet at `path`: its folder's, or ours where it is a file alone.

    Raises:
        LatenttyError: it is missing, damaged, or a file of no kind that we know.
    """
    if not path.is_file():
        return read_json(path, "config.json")
    folder, told = file_configuration(path)
    return read_json(folder, "config.json") | told


def file_configuration(path: Path) -> tuple[Path, dict[str, Any]]:
    """The folder with our configuration for the ControlNet in the file at `path`, and what its header says otherwise.

    Raises:
        LatenttyError: it is damaged, or of no kind that we know.
    """
    try:
        return _file_configuration(path)
    except (IndexError, KeyError, ValueError):  # names that we know, of weights of other shapes
        raise _unusable(path, "its weights have shapes of no kind that we know") from None


def _file_configuration(path: Path) -> tuple[Path, dict[str, Any]]:
    names = read_header(path).tensors
    if "lora_controlnet" in names:
        raise _unusable(path, "it is a Control-LoRA, which diffusers cannot load")
    if any(name.startswith("lllite_") for name in names):
        raise _unusable(path, "it is a ControlNet-LLLite, which diffusers cannot load")
    shapes = {name.removeprefix("control_model."): tensor.shape for name, tensor in names.items()}
    if "controlnet_blocks.0.weight" in shapes:
        name, told = _transformers_config(path, shapes)
        return configurations() / "controlnet" / name, told
    known = any(name in shapes for name in ("input_hint_block.0.weight", "controlnet_cond_embedding.conv_in.weight"))
    width = next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), 0)
    if not known or width not in _CONFIGURATIONS:
        raise _unusable(path, "it is of no kind that can be loaded from a file alone")
    name, told = _CONFIGURATIONS[width], _hint_channels(shapes)
    if "task_embedding" in shapes:
        name, told = f"{name}-union", told | _union_config(shapes)
    folder = configurations() / "controlnet" / name
    if not folder.is_dir():
        raise _unusable(path, "it is a union of a kind that diffusers cannot load")
    return folder, told


_CONFIGURATIONS: Final = {768: "stable-diffusion-1", 1024: "stable-diffusion-2", 2048: "stable-diffusion-xl"}
"""By the width of the text that a ControlNet reads."""


def _hint_channels(shapes: Mapping[str, list[int]]) -> dict[str, Any]:
    """How wide the layers are that take the control image in, where it tells."""
    names = ["conv_in", *(f"blocks.{number}" for number in (1, 3, 5, 7))]
    told = [shapes.get(f"controlnet_cond_embedding.{name}.weight") for name in names]
    channels = [shape[0] for shape in told if shape]
    return {"conditioning_embedding_out_channels": channels} if channels else {}


def _union_config(shapes: Mapping[str, list[int]]) -> dict[str, Any]:
    kinds, width = shapes["task_embedding"]
    told = {"num_control_type": kinds, "num_trans_channel": width}
    if projected := shapes.get("spatial_ch_projs.weight"):
        told["num_proj_channel"] = projected[0]
    return told


def _transformers_config(path: Path, shapes: Mapping[str, list[int]]) -> tuple[str, dict[str, Any]]:
    """The folder with a transformer's ControlNet's configuration, and what its header says, in diffusers' names."""
    entry = shapes.get("controlnet_x_embedder.weight", [])
    layers = {"num_layers": _count(shapes, "transformer_blocks.")}
    if "transformer_blocks.0.img_mod.1.weight" in shapes and entry:
        return "qwen-image", layers | {"extra_condition_channels": entry[1] - shapes["img_in.weight"][1]}
    if {"pos_embed.pos_embed", "pos_embed_input.proj.weight", "context_embedder.weight"} <= shapes.keys():
        return "stable-diffusion-3", layers | _sd3_config(shapes)
    if "transformer_blocks.0.attn.to_q.weight" in shapes and entry:
        return "flux", layers | _flux_config(shapes)
    raise _unusable(path, "it has the names of XLabs or another writer, which diffusers cannot load")


def _flux_config(shapes: Mapping[str, list[int]]) -> dict[str, Any]:
    """FLUX.1's, as InstantX and Shakker Labs share them; a union has a row for each of its modes."""
    modes = shapes.get("controlnet_mode_embedder.weight")
    return {
        "num_single_layers": _count(shapes, "single_transformer_blocks."),
        "in_channels": shapes["controlnet_x_embedder.weight"][1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in shapes,
        "num_mode": modes[0] if modes else None,
    }


_SD3_HEAD: Final = 64
"""The width of one head of attention in every Stable Diffusion 3."""


def _sd3_config(shapes: Mapping[str, list[int]]) -> dict[str, Any]:
    """Stable Diffusion 3's, as InstantX shares them: places for every size of picture, and what stands beside them."""
    width, channels, patch, _ = shapes["pos_embed.proj.weight"]
    return {
        "patch_size": patch,
        "num_attention_heads": width // _SD3_HEAD,
        "caption_projection_dim": width,
        "in_channels": channels,
        "pos_embed_max_size": math.isqrt(shapes["pos_embed.pos_embed"][1]),
        "extra_conditioning_channels": shapes["pos_embed_input.proj.weight"][1] - channels,
    }


def _count(shapes: Mapping[str, list[int]], prefix: str) -> int:
    return len({name[len(prefix) :].partition(".")[0] for name in shapes if name.startswith(prefix)})


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
        ours = controlnet_config(Path(controlnet.path))
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
