"""Stable Diffusion XL and what was tuned from it."""

from tui.library.families.family import Family

FAMILY = Family(
    id="stable-diffusion-xl",
    label="Stable Diffusion XL",
    saved_as=frozenset(
        {"StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"}
    ),
    pipelines={"txt2img": "StableDiffusionXLPipeline"},
    size=1024,
    steps=25,
    guidance_scale=6.0,
)
