"""Stable Diffusion 1.x and 2.x."""

from tui.library.families.family import ControlClasses, Family

FAMILY = Family(
    id="stable-diffusion",
    label="Stable Diffusion",
    saved_as=frozenset({"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"}),
    pipelines={
        "txt2img": "StableDiffusionPipeline",
        "img2img": "StableDiffusionImg2ImgPipeline",
        "inpaint": "StableDiffusionInpaintPipeline",
        "outpaint": "StableDiffusionInpaintPipeline",
    },
    controls={
        "ControlNetModel": ControlClasses(
            pipelines={
                "txt2img": "StableDiffusionControlNetPipeline",
                "img2img": "StableDiffusionControlNetImg2ImgPipeline",
                "inpaint": "StableDiffusionControlNetInpaintPipeline",
                "outpaint": "StableDiffusionControlNetInpaintPipeline",
            },
            multi="MultiControlNetModel",
        )
    },
    inpainting_channels=9,
    size=512,
    steps=25,
    guidance_scale=7.0,
    weighting=True,
    clip_skip=True,
)
