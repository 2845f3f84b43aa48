"""What is written down about a model family."""

from msgspec import Struct

from tui.library.schedulers import Kind
from tui.protocol.job import Mode


class Family(Struct, frozen=True, kw_only=True):
    """One model family, as its file in this folder tells it."""

    id: str
    label: str
    saved_as: frozenset[str]
    """The `_class_name`s by which a model folder of this family is known."""
    pipelines: dict[Mode, str]
    """The diffusers class for each mode that the family can do."""
    scheduler_kind: Kind = "diffusion"
    size_multiple: int = 8
    """Width and height are multiples of it, in pixels."""
    size: int = 512
    """Width and height that it was trained for, unless the model says otherwise, in pixels."""
    steps: int = 25
    guidance_scale: float = 7.0
