"""What is written down about a model family."""

from typing import Any

from msgspec import Struct, field

from tui.library.schedulers import Kind
from tui.protocol.job import Mode


class ControlClasses(Struct, frozen=True, kw_only=True):
    """What one class of ControlNet does in a family."""

    pipelines: dict[Mode, str]
    """The diffusers class for each mode."""
    several: bool = True
    """Whether several work together."""
    timed: bool = True
    """Whether each can begin late and end early."""


class Family(Struct, frozen=True, kw_only=True):
    """One model family, as its file in this folder tells it. Class names are diffusers'."""

    id: str
    label: str
    saved_as: frozenset[str]
    """The `_class_name`s by which a model folder of this family is known."""
    marks: dict[str, Any] = field(default_factory=dict)
    """Entries of `model_index.json` that must be so as well, where the class alone does not tell."""
    pipelines: dict[Mode, str]
    """The class for each mode that the family can do."""
    controls: dict[str, ControlClasses] = field(default_factory=dict)
    """By the class of the ControlNet."""
    scheduler_kind: Kind = "diffusion"
    schedulers: tuple[str, ...] = ()
    """Ids of the schedulers that work, where not every one of the kind does."""
    size_multiple: int = 8
    """Width and height are multiples of it, in pixels."""
    size: int = 512
    """Width and height that it was trained for, unless the model says otherwise, in pixels."""
    steps: int = 25
    guidance_scale: float = 7.0
    guidance_argument: str = "guidance_scale"
    """What the pipelines call the guidance scale that weighs the prompt against the negative prompt."""
    negative_prompt: bool = True
    """Whether it can be told what not to show."""
    image_required: bool = False
    """Whether every mode begins with a picture."""
    call: dict[str, Any] = field(default_factory=dict)
    """Further arguments of every call, such as those that switch off a change of the size that was asked for."""
    latents: str = "grid"
    """How the latents lie that reach the scheduler: a name that :mod:`tui.worker.latents` knows."""

    def pipeline(self, mode: Mode, control: str = "") -> str | None:
        """The class for `mode` with a ControlNet of class `control` (or none); None when there is none."""
        if not control:
            return self.pipelines.get(mode)
        classes = self.controls.get(control)
        return classes.pipelines.get(mode) if classes is not None else None
