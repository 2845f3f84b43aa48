"""Chroma."""

from tui.library.families.family import Family

FAMILY = Family(
    id="chroma",
    label="Chroma",
    saved_as=frozenset({"ChromaPipeline", "ChromaImg2ImgPipeline", "ChromaInpaintPipeline"}),
    pipelines={
        "txt2img": "ChromaPipeline",
        "img2img": "ChromaImg2ImgPipeline",
        "inpaint": "ChromaInpaintPipeline",
        "outpaint": "ChromaInpaintPipeline",
    },
    # diffusers' own inpainting pipeline asks the transformer for a setting that no Chroma has
    settings={"transformer": {"guidance_embeds": False}},
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=40,
    guidance_scale=3.0,
    latents="flux",
)
