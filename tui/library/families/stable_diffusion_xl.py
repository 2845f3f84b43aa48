"""Stable Diffusion XL, what was tuned from it (Turbo, Lightning, Pony, Illustrious), and its refiner."""

from tui.library.families.family import ControlClasses, Family
from tui.protocol.job import Annotator

UNION_MODES: dict[Annotator, int] = {
    "pose": 0,
    "depth": 1,
    "soft-edge": 2,
    "scribble": 2,
    "canny": 3,
    "line-art": 3,
    "normal": 4,
    "segmentation": 5,
    "blur": 6,
}
"""Which of a union ControlNet's modes an annotator's picture is for (xinsir's controlnet-union-sdxl-1.0)."""

FAMILY = Family(
    id="stable-diffusion-xl",
    label="Stable Diffusion XL",
    saved_as=frozenset(
        {"StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"}
    ),
    pipelines={
        "txt2img": "StableDiffusionXLPipeline",
        "img2img": "StableDiffusionXLImg2ImgPipeline",
        "inpaint": "StableDiffusionXLInpaintPipeline",
        "outpaint": "StableDiffusionXLInpaintPipeline",
    },
    controls={
        "ControlNetModel": ControlClasses(
            pipelines={
                "txt2img": "StableDiffusionXLControlNetPipeline",
                "img2img": "StableDiffusionXLControlNetImg2ImgPipeline",
                "inpaint": "StableDiffusionXLControlNetInpaintPipeline",
                "outpaint": "StableDiffusionXLControlNetInpaintPipeline",
            },
            multi="MultiControlNetModel",
        ),
        "ControlNetUnionModel": ControlClasses(
            pipelines={
                "txt2img": "StableDiffusionXLControlNetUnionPipeline",
                "img2img": "StableDiffusionXLControlNetUnionImg2ImgPipeline",
                "inpaint": "StableDiffusionXLControlNetUnionInpaintPipeline",
                "outpaint": "StableDiffusionXLControlNetUnionInpaintPipeline",
            },
            union_modes=UNION_MODES,
        ),
    },
    inpainting_channels=9,
    size=1024,
    steps=25,
    guidance_scale=6.0,
    weighting=True,
    clip_skip=True,
    second_prompt=True,
)

REFINER = Family(
    id="stable-diffusion-xl-refiner",
    label="Stable Diffusion XL refiner",
    saved_as=frozenset({"StableDiffusionXLImg2ImgPipeline"}),
    marks={"requires_aesthetics_score": True},
    pipelines={"refine": "StableDiffusionXLImg2ImgPipeline", "img2img": "StableDiffusionXLImg2ImgPipeline"},
    size=1024,
    steps=25,
    guidance_scale=6.0,
    weighting=True,
    clip_skip=True,
)
