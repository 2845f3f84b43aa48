"""Another VAE than a model's own: a diffusers folder, or a file in LDM's layout or diffusers'."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tui.library.models import read_json
from tui.library.safetensors_header import read_header
from tui.library.single_files import SingleFile, Variant
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.blueprint import Blueprint, Part, class_named, incomplete
from tui.worker.single_file import OwnFile


def vae_part(blueprint: Blueprint, path: Path) -> Part:
    """The VAE at `path` as a part of the model of `blueprint`.

    Raises:
        LatenttyError: it is missing, damaged, or no VAE.
    """
    own = blueprint.parts.get("vae")
    if own is None:
        raise incomplete(blueprint.path, "it has no VAE that another could replace")
    if path.is_dir():
        place = path if (path / "config.json").exists() else path / "vae"
        part = Part(
            "vae", place, class_named(place, "diffusers", str(read_json(place, "config.json").get("_class_name")))
        )
        if not part.headers:
            raise _unusable(path, "its weights are missing")
        return part
    if path.suffix != ".safetensors":
        raise _unusable(path, "only safetensors files are opened")
    header = read_header(path)
    if not any("decoder.conv_in" in name or "decoder.conv1" in name for name in header.tensors):
        raise _unusable(path, "it holds no VAE")
    variant = Variant(id="vae", family=blueprint.family.id, pipeline="", denoiser="")
    single = SingleFile(path=path, header=header, variant=variant, pack=own.folder.parent)
    return OwnFile("vae", own.folder, own.kind, single)


def check_vae(path: Path, other: nn.Module, own: nn.Module) -> None:
    """Nothing, when `other`, read from `path`, takes the latents that `own` takes.

    Raises:
        LatenttyError: it does not.
    """
    if _channels(other) != _channels(own) or type(other) is not type(own):
        raise _unusable(path, f"it takes latents of {_channels(other)} channels, this model makes {_channels(own)}")


def _channels(vae: nn.Module) -> int:
    config: Any = vae.config
    assert not isinstance(config, torch.Tensor)
    return int(config.get("latent_channels") or config.get("z_dim") or 0)


def _unusable(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The VAE {path} cannot be used: {why}.",
            hint="Choose one that was made for this model's family.",
        )
    )
