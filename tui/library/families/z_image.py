"""Z-Image and Z-Image Turbo."""

from tui.library.families.family import ControlClasses, Family

FAMILY = Family(
    id="z-image",
    label="Z-Image",
    saved_as=frozenset({"ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"}),
    pipelines={
        "txt2img": "ZImagePipeline",
        "img2img": "ZImageImg2ImgPipeline",
        "inpaint": "ZImageInpaintPipeline",
        "outpaint": "ZImageInpaintPipeline",
    },
    controls={
        "ZImageControlNetModel": ControlClasses(
            pipelines={"txt2img": "ZImageControlNetPipeline"},
            inpainting={
                "txt2img": "ZImageControlNetPipeline",
                "inpaint": "ZImageControlNetInpaintPipeline",
                "outpaint": "ZImageControlNetInpaintPipeline",
            },
            timed=False,
            borrows=True,
        )
    },
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=9,
    guidance_scale=0.0,
    latents="grid",
)
