"""FLUX.2: dev and Klein."""

from tui.library.families.family import Family

FAMILY = Family(
    id="flux2",
    label="FLUX.2",
    saved_as=frozenset({"Flux2Pipeline"}),
    pipelines={"txt2img": "Flux2Pipeline", "edit": "Flux2Pipeline"},
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=28,
    guidance_scale=4.0,
    negative_prompt=False,
    latents="flux2",
)

KLEIN = Family(
    id="flux2-klein",
    label="FLUX.2 Klein",
    saved_as=frozenset({"Flux2KleinPipeline", "Flux2KleinInpaintPipeline"}),
    pipelines={
        "txt2img": "Flux2KleinPipeline",
        "edit": "Flux2KleinPipeline",
        "inpaint": "Flux2KleinInpaintPipeline",
        "outpaint": "Flux2KleinInpaintPipeline",
    },
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=4,
    guidance_scale=1.0,
    negative_prompt=False,
    latents="flux2",
)
