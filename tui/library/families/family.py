"""What is written down about a model family."""

from typing import Any

from msgspec import Struct, field

from tui.library.schedulers import Kind
from tui.protocol.job import Annotator, Mode


class ControlClasses(Struct, frozen=True, kw_only=True):
    """What one class of ControlNet does in a family."""

    pipelines: dict[Mode, str]
    """The diffusers class for each mode."""
    inpainting: dict[Mode, str] = field(default_factory=dict)
    """The same for those that were made for inpainting, which see the picture and the mask themselves."""
    union_modes: dict[Annotator, int] = field(default_factory=dict)
    """For a union of several ControlNets: which of them an annotator's picture is for."""
    timed: bool = True
    """Whether each can begin late and end early."""
    borrows: bool = False
    """Whether its pipelines attach parts of the model's denoiser to the ControlNet, which is then that model's."""
    multi: str = ""
    """The class that holds several; empty where there is none, and one at most can be used."""


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
    blank_negative: str = ""
    """What to say where nothing is, because without a negative prompt its guidance scale has no effect."""
    inpainting_channels: int | None = None
    """How many channels the denoiser of its inpainting models takes in; they can do nothing else."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Configuration that a component's own file lacks, by component."""
    call: dict[str, Any] = field(default_factory=dict)
    """Further arguments of every call, such as those that switch off a change of the size that was asked for."""
    weighting: bool = False
    """Whether words can be weighed, prompts can change between steps and be joined: CLIP reads them, a UNet draws."""
    clip_skip: bool = False
    """Whether the last layers of its text encoders can be left out."""
    second_prompt: bool = False
    """Whether its second text encoder can be told something else."""
    latents: str = "grid"
    """How the latents lie that reach the scheduler: a name that :mod:`tui.worker.latents` knows."""

    def pipeline(self, mode: Mode, control: str = "", *, inpainting: bool = False) -> str | None:
        """The class for `mode` with a ControlNet of class `control` (or none); None when there is none.

        `inpainting` says that the ControlNet was made for it.
        """
        if not control:
            return self.pipelines.get(mode)
        return self.control_pipelines(control, inpainting=inpainting).get(mode)

    def control_pipelines(self, control: str, *, inpainting: bool) -> dict[Mode, str]:
        """The class for each mode with a ControlNet of class `control`."""
        classes = self.controls.get(control)
        if classes is None:
            return {}
        return classes.inpainting if inpainting else classes.pipelines
