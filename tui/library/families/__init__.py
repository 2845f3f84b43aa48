"""The model families: what each is called, which pipeline class serves which mode, its defaults and its limits.

Pure data, with class names as text: the engine checks a job against it before the job is accepted, and the worker
looks the classes up in diffusers.
"""

from collections.abc import Mapping
from typing import Any, Final

from tui.library.families import (
    chroma,
    flux,
    flux2,
    generic,
    krea,
    pixart,
    qwen_image,
    sana,
    stable_diffusion,
    stable_diffusion_3,
    stable_diffusion_xl,
    z_image,
)
from tui.library.families.family import ControlClasses, Family

_ALL = (
    stable_diffusion.FAMILY,
    stable_diffusion_xl.REFINER,  # before the base, whose img2img class it shares
    stable_diffusion_xl.FAMILY,
    stable_diffusion_3.FAMILY,
    flux.FAMILY,
    flux.FILL,
    flux.KONTEXT,
    flux2.FAMILY,
    flux2.KLEIN,
    qwen_image.FAMILY,
    qwen_image.EDIT,
    qwen_image.EDIT_PLUS,
    qwen_image.LATER,
    krea.FAMILY,
    z_image.FAMILY,
    chroma.FAMILY,
    pixart.FAMILY,
    sana.FAMILY,
    sana.SPRINT,
    *generic.FAMILIES,
)

FAMILIES: Final[dict[str, Family]] = {family.id: family for family in _ALL}
"""Every family by its id."""


def family_of(index: Mapping[str, Any]) -> Family | None:
    """The family of the model with this `model_index.json`."""
    told = str(index.get("_class_name"))
    for family in FAMILIES.values():
        marked = all(index.get(name) == value for name, value in family.marks.items())
        if told in family.saved_as and marked:
            return family
    return None


__all__ = ["FAMILIES", "ControlClasses", "Family", "family_of"]
