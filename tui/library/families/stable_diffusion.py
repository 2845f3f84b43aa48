"""Stable Diffusion 1.x and 2.x."""

from tui.library.families.family import Family

FAMILY = Family(
    id="stable-diffusion",
    label="Stable Diffusion",
    saved_as=frozenset({"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"}),
    pipelines={"txt2img": "StableDiffusionPipeline"},
    size=512,
    steps=25,
    guidance_scale=7.0,
)
