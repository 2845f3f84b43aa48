"""A small model of every family, with random weights: complete folders in the format of diffusers.

They draw nothing that anyone would want, but everything about them has the shape of the real thing, and each takes
well under a second. Weights follow a seed, so a model is the same wherever it is written.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.worker.tiny_models import (
    chroma,
    flux,
    flux2,
    others,
    pixart,
    qwen_image,
    sana,
    stable_diffusion,
    stable_diffusion_3,
    stable_diffusion_xl,
    z_image,
)

Write = Callable[[Path], Path]
"""Writes a model into a folder that it makes, and returns that folder."""

MODELS: Final[dict[str, Write]] = {
    "sd": stable_diffusion.write,
    "sd-twin": stable_diffusion.write_twin,
    "sd-half": stable_diffusion.write_half,
    "sd-inpainting": stable_diffusion.write_inpainting,
    "sd-consistency": stable_diffusion.write_consistency,
    "sdxl": stable_diffusion_xl.write,
    "sdxl-refiner": stable_diffusion_xl.write_refiner,
    "sd3": stable_diffusion_3.write,
    "flux": flux.write,
    "flux-schnell": flux.write_schnell,
    "flux-fill": flux.write_fill,
    "flux-kontext": flux.write_kontext,
    "flux2": flux2.write,
    "flux2-klein": flux2.write_klein,
    "flux2-klein-base": flux2.write_klein_base,
    "qwen-image": qwen_image.write,
    "qwen-image-edit": qwen_image.write_edit,
    "qwen-image-edit-plus": qwen_image.write_edit_plus,
    "qwen-image-2.1": qwen_image.write_later,
    "z-image": z_image.write,
    "chroma": chroma.write,
    "pixart-sigma": pixart.write,
    "sana": sana.write,
    "sana-sprint": sana.write_sprint,
    "lumina2": others.write_lumina2,
    "auraflow": others.write_auraflow,
    "cogview4": others.write_cogview4,
    "krea2": others.write_krea2,
}
"""Every model by its name."""

CONTROLNETS: Final[dict[str, Write]] = {
    "sd-controlnet": stable_diffusion.write_controlnet,
    "sdxl-controlnet": stable_diffusion_xl.write_controlnet,
    "sdxl-controlnet-union": stable_diffusion_xl.write_controlnet_union,
    "sd3-controlnet": stable_diffusion_3.write_controlnet,
    "sd3-controlnet-inpainting": stable_diffusion_3.write_inpainting_controlnet,
    "flux-controlnet": flux.write_controlnet,
    "flux-controlnet-union": flux.write_controlnet_union,
    "qwen-image-controlnet": qwen_image.write_controlnet,
    "qwen-image-controlnet-inpainting": qwen_image.write_inpainting_controlnet,
    "z-image-controlnet": z_image.write_controlnet,
    "z-image-controlnet-inpainting": z_image.write_inpainting_controlnet,
    "sana-controlnet": sana.write_controlnet,
}
"""Every ControlNet by its name; each is one folder without an index."""


class TinyModels:
    """The models and ControlNets below one folder, each written when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, name: str) -> Path:
        """The folder of the model or ControlNet called `name`."""
        folder = self._root / name
        return folder if folder.exists() else (MODELS | CONTROLNETS)[name](folder)
