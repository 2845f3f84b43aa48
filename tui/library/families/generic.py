"""Further families that diffusers' AutoPipeline knows, through one entry: their own scheduler, sane defaults.

What is written here is what such a model cannot tell by itself. A family that deserves more gets a file of its own.
"""

from typing import Final

from tui.library.families.family import Family
from tui.protocol.job import Mode

_LABELS: Final = {
    "AuraFlowPipeline": "AuraFlow",
    "CogView3PlusPipeline": "CogView3 Plus",
    "CogView4Pipeline": "CogView4",
    "GlmImagePipeline": "GLM-Image",
    "HunyuanDiTPipeline": "Hunyuan-DiT",
    "Ideogram4Pipeline": "Ideogram 4",
    "Kandinsky3Pipeline": "Kandinsky 3",
    "LatentConsistencyModelPipeline": "Latent Consistency",
    "LuminaPipeline": "Lumina",
    "Lumina2Pipeline": "Lumina 2",
    "NucleusMoEImagePipeline": "Nucleus",
    "OvisImagePipeline": "Ovis-Image",
    "PRXPipeline": "PRX",
}

_FURTHER: Final[dict[str, dict[Mode, str]]] = {
    "Kandinsky3Pipeline": {"img2img": "Kandinsky3Img2ImgPipeline"},
    "LatentConsistencyModelPipeline": {"img2img": "LatentConsistencyModelImg2ImgPipeline"},
}
"""Modes beside txt2img."""


_WITHOUT_NEGATIVE: Final = frozenset({"GlmImagePipeline", "Ideogram4Pipeline", "LatentConsistencyModelPipeline"})
"""That cannot be told what not to show."""

_LATENTS: Final = {
    "GlmImagePipeline": "channels",
    "Ideogram4Pipeline": "ideogram",
    "NucleusMoEImagePipeline": "qwen-image",
    "OvisImagePipeline": "flux",
}
"""How their latents lie, where it is not on a grid."""


def _entry(class_name: str, label: str) -> Family:
    return Family(
        id=label.lower().replace(" ", "-"),
        label=label,
        saved_as=frozenset({class_name}),
        pipelines={"txt2img": class_name, **_FURTHER.get(class_name, {})},
        schedulers=("own",),
        size_multiple=16,
        size=1024,
        steps=30,
        guidance_scale=4.0,
        negative_prompt=class_name not in _WITHOUT_NEGATIVE,
        latents=_LATENTS.get(class_name, "grid"),
        weighting=class_name == "LatentConsistencyModelPipeline",
        clip_skip=class_name == "LatentConsistencyModelPipeline",
        call={"use_resolution_binning": False, "clean_caption": False},
    )


FAMILIES: Final = tuple(_entry(class_name, label) for class_name, label in _LABELS.items())
