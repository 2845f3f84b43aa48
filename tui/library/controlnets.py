"""ControlNets on the disk: what they are, and which models they fit, from their configurations alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from tui.library.families import FAMILIES
from tui.library.listing import matches
from tui.library.models import read_json
from tui.library.paths import bundled_models
from tui.library.safetensors_header import read_header
from tui.protocol.events import ControlNetInfo, ModelInfo
from tui.protocol.job import Mode
from tui.protocol.problem import LatenttyError, Problem

CLASSES: Final = frozenset(name for family in FAMILIES.values() for name in family.controls)
"""The classes of ControlNet that some family can build."""

_MUST_AGREE: Final = ("cross_attention_dim", "joint_attention_dim", "caption_channels", "in_channels")
"""Settings that a ControlNet shares with the model that it was made for."""


def find_controlnets(folders: Iterable[Path], further: Iterable[Path] = ()) -> list[ControlNetInfo]:
    """The bundled ControlNets, every one that lies one level below `folders`, and those in `further`, by name."""
    places = [(path, True) for path in sorted(bundled_models().glob("*/config.json"))]
    places += [(path, False) for folder in folders for path in matches(folder, "*/config.json")]
    met = {path.parent for path, _ in places}
    places += [(folder / "config.json", False) for folder in further if folder not in met]
    found: dict[str, ControlNetInfo] = {}
    for path, bundled in places:
        try:
            info = read_controlnet(path.parent)
        except LatenttyError as error:
            info = ControlNetInfo(name=path.parent.name, path=str(path.parent), class_name="", problem=error.problem)
        if info.class_name in CLASSES or (info.problem is not None and "control" in info.name.lower()):
            name = info.name if info.name not in found else str(path.parent)
            found[name] = replace(info, name=name, bundled=bundled)
    return sorted(found.values(), key=lambda info: info.name)


def read_controlnet(folder: Path) -> ControlNetInfo:
    """What the ControlNet in `folder` is.

    Raises:
        LatenttyError: it is missing or damaged.
    """
    config = read_json(folder, "config.json")
    weights = sum(read_header(path).bytes for path in sorted(folder.glob("*.safetensors")))
    return ControlNetInfo(
        name=folder.name,
        path=str(folder.absolute()),
        class_name=str(config.get("_class_name", "")),
        bytes=weights,
        inpainting=is_for_inpainting(config),
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
        theirs = _denoiser_config(Path(model.path))
        ours = read_json(Path(controlnet.path), "config.json")
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
