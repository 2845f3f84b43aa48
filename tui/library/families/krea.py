"""Krea 2 and its Turbo."""

from tui.library.families.family import Family

FAMILY = Family(
    id="krea-2",
    label="Krea 2",
    saved_as=frozenset({"Krea2Pipeline"}),
    pipelines={"txt2img": "Krea2Pipeline"},
    schedulers=("own",),
    size_multiple=16,
    size=1024,
    steps=28,
    guidance_scale=4.5,
    latents="qwen-image",
)
