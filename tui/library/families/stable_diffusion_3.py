"""Stable Diffusion 3 and 3.5."""

from tui.library.families.family import ControlClasses, Family

FAMILY = Family(
    id="stable-diffusion-3",
    label="Stable Diffusion 3",
    saved_as=frozenset(
        {"StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline"}
    ),
    pipelines={
        "txt2img": "StableDiffusion3Pipeline",
        "img2img": "StableDiffusion3Img2ImgPipeline",
        "inpaint": "StableDiffusion3InpaintPipeline",
        "outpaint": "StableDiffusion3InpaintPipeline",
    },
    controls={
        "SD3ControlNetModel": ControlClasses(
            pipelines={"txt2img": "StableDiffusion3ControlNetPipeline"},
            inpainting={
                "inpaint": "StableDiffusion3ControlNetInpaintingPipeline",
                "outpaint": "StableDiffusion3ControlNetInpaintingPipeline",
            },
            multi="SD3MultiControlNetModel",
        )
    },
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=28,
    guidance_scale=4.5,
    clip_skip=True,
    second_prompt=True,
)
