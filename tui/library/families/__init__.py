"""The model families: what each is called, which pipeline class serves which mode, its defaults and its limits.

Pure data, with class names as text: the engine checks a job against it before the job is accepted, and the worker
looks the classes up in diffusers.
"""

from typing import Final

from tui.library.families import stable_diffusion, stable_diffusion_xl
from tui.library.families.family import Family

FAMILIES: Final[dict[str, Family]] = {
    family.id: family for family in (stable_diffusion.FAMILY, stable_diffusion_xl.FAMILY)
}


def family_of(pipeline_class: str) -> Family | None:
    """The family whose models name `pipeline_class` in their `model_index.json`."""
    return next((family for family in FAMILIES.values() if pipeline_class in family.saved_as), None)


__all__ = ["FAMILIES", "Family", "family_of"]
