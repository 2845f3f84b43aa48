"""Sana and Sana Sprint."""

from tui.library.families.family import ControlClasses, Family

FAMILY = Family(
    id="sana",
    label="Sana",
    saved_as=frozenset({"SanaPipeline"}),
    pipelines={"txt2img": "SanaPipeline"},
    controls={"SanaControlNetModel": ControlClasses(pipelines={"txt2img": "SanaControlNetPipeline"}, timed=False)},
    scheduler_kind="flow",
    size_multiple=32,
    size=1024,
    steps=20,
    guidance_scale=4.5,
    call={"use_resolution_binning": False, "clean_caption": False},
)

SPRINT = Family(
    id="sana-sprint",
    label="Sana Sprint",
    saved_as=frozenset({"SanaSprintPipeline", "SanaSprintImg2ImgPipeline"}),
    pipelines={"txt2img": "SanaSprintPipeline", "img2img": "SanaSprintImg2ImgPipeline"},
    schedulers=("own",),
    size_multiple=32,
    size=1024,
    steps=2,
    guidance_scale=4.5,
    negative_prompt=False,
    latents="sana-sprint",
    call={"use_resolution_binning": False, "clean_caption": False},
)
