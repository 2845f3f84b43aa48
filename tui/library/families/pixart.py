"""PixArt-α and PixArt-Σ."""

from tui.library.families.family import Family

FAMILY = Family(
    id="pixart",
    label="PixArt",
    saved_as=frozenset({"PixArtSigmaPipeline", "PixArtAlphaPipeline"}),
    pipelines={"txt2img": "PixArtSigmaPipeline"},
    size_multiple=16,
    size=1024,
    steps=20,
    guidance_scale=4.5,
    # draw the size that was asked for, and read the prompt as it was written
    call={"use_resolution_binning": False, "clean_caption": False},
)
