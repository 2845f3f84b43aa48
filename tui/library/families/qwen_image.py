"""Qwen-Image, its editors, and Qwen-Image 2.1."""

from tui.library.families.family import ControlClasses, Family

FAMILY = Family(
    id="qwen-image",
    label="Qwen-Image",
    saved_as=frozenset({"QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"}),
    pipelines={
        "txt2img": "QwenImagePipeline",
        "img2img": "QwenImageImg2ImgPipeline",
        "inpaint": "QwenImageInpaintPipeline",
        "outpaint": "QwenImageInpaintPipeline",
    },
    controls={
        "QwenImageControlNetModel": ControlClasses(
            pipelines={"txt2img": "QwenImageControlNetPipeline"},
            inpainting={
                "inpaint": "QwenImageControlNetInpaintPipeline",
                "outpaint": "QwenImageControlNetInpaintPipeline",
            },
        )
    },
    scheduler_kind="flow",
    size_multiple=16,
    size=1328,
    steps=50,
    guidance_scale=4.0,
    guidance_argument="true_cfg_scale",
    blank_negative=" ",
    latents="qwen-image",
)

EDIT = Family(
    id="qwen-image-edit",
    label="Qwen-Image Edit",
    saved_as=frozenset({"QwenImageEditPipeline", "QwenImageEditInpaintPipeline"}),
    # its inpainting draws a megapixel whatever is asked for, so it is not offered
    pipelines={"edit": "QwenImageEditPipeline"},
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=50,
    guidance_scale=4.0,
    guidance_argument="true_cfg_scale",
    blank_negative=" ",
    latents="qwen-image",
)

EDIT_PLUS = Family(
    id="qwen-image-edit-plus",
    label="Qwen-Image Edit Plus",
    saved_as=frozenset({"QwenImageEditPlusPipeline"}),
    pipelines={"edit": "QwenImageEditPlusPipeline"},
    scheduler_kind="flow",
    size_multiple=16,
    size=1024,
    steps=40,
    guidance_scale=4.0,
    guidance_argument="true_cfg_scale",
    blank_negative=" ",
    latents="qwen-image",
)

LATER = Family(
    id="qwen-image-2.1",
    label="Qwen-Image 2.1",
    saved_as=frozenset({"QwenImage21Pipeline"}),
    # it reads pictures, too, at a megapixel whatever is asked for; editing is not offered
    pipelines={"txt2img": "QwenImage21Pipeline"},
    schedulers=("own",),
    size_multiple=32,
    size=1024,
    steps=40,
    guidance_scale=4.0,
    guidance_argument="true_cfg_scale",
    blank_negative=" ",
    latents="qwen-image-2.1",
)
