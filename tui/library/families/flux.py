"""FLUX.1: dev and schnell, Fill and Kontext.

Its guidance scale is a number that the model is told; it takes no negative prompt.
"""

from tui.library.families.family import ControlClasses, Family
from tui.protocol.job import Annotator

UNION_MODES: dict[Annotator, int] = {"canny": 0, "soft-edge": 0, "blur": 3, "depth": 2, "pose": 4}
"""Which of a union ControlNet's modes an annotator's picture is for (FLUX.1-dev-ControlNet-Union)."""

FAMILY = Family(
    id="flux",
    label="FLUX.1",
    saved_as=frozenset({"FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"}),
    pipelines={
        "txt2img": "FluxPipeline",
        "img2img": "FluxImg2ImgPipeline",
        "inpaint": "FluxInpaintPipeline",
        "outpaint": "FluxInpaintPipeline",
    },
    controls={
        "FluxControlNetModel": ControlClasses(
            pipelines={
                "txt2img": "FluxControlNetPipeline",
                "img2img": "FluxControlNetImg2ImgPipeline",
                "inpaint": "FluxControlNetInpaintPipeline",
                "outpaint": "FluxControlNetInpaintPipeline",
            },
            union_modes=UNION_MODES,
            multi="FluxMultiControlNetModel",
        )
    },
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=28,
    guidance_scale=3.5,
    negative_prompt=False,
    second_prompt=True,
    latents="flux",
)

FILL = Family(
    id="flux-fill",
    label="FLUX.1 Fill",
    saved_as=frozenset({"FluxFillPipeline"}),
    pipelines={"inpaint": "FluxFillPipeline", "outpaint": "FluxFillPipeline"},
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=50,
    guidance_scale=30.0,
    negative_prompt=False,
    second_prompt=True,
    latents="flux",
)

KONTEXT = Family(
    id="flux-kontext",
    label="FLUX.1 Kontext",
    saved_as=frozenset({"FluxKontextPipeline", "FluxKontextInpaintPipeline"}),
    pipelines={
        "txt2img": "FluxKontextPipeline",
        "edit": "FluxKontextPipeline",
        "inpaint": "FluxKontextInpaintPipeline",
        "outpaint": "FluxKontextInpaintPipeline",
    },
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=28,
    guidance_scale=2.5,
    negative_prompt=False,
    second_prompt=True,
    call={"_auto_resize": False},
    latents="flux",
)
