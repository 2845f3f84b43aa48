"""A job: everything that decides what a picture looks like, immutable once made."""

import secrets
from typing import Annotated, Any, Final, Literal, get_args

from msgspec import Meta, Struct
from msgspec.structs import replace

Mode = Literal["txt2img", "img2img", "inpaint", "outpaint", "edit", "refine"]
"""What is made from what; it is part of the job and never changes while the job waits."""

MODES: Final[tuple[Mode, ...]] = get_args(Mode)

Annotator = Literal[
    "none", "invert", "canny", "soft-edge", "scribble", "line-art", "blur", "depth", "normal", "segmentation", "pose"
]
"""How a control image is made from a picture; `none` takes the picture as it is."""

ANNOTATORS: Final[tuple[Annotator, ...]] = get_args(Annotator)

Offload = Literal["none", "components", "layers"]
"""Which weights stay on the device while a job runs: all, one component at a time, or one block at a time."""

SeedPolicy = Literal["random", "fixed", "increment"]

MAX_SEED: Final = 2**63 - 1
"""The largest seed that torch's generator takes."""

SIDE: Final = {"unit": "px", "step": 64}
"""Of a picture's width and height: keys take them further at a time than they must be."""

_Path = Annotated[str, Meta(max_length=4096)]


def _pixels(side: str) -> Any:
    return Meta(title=side, description="How far to grow the picture.", ge=0, le=4096, extra={"unit": "px", "step": 8})


Tags = Annotated[list[Annotated[str, Meta(pattern=r"^[^\s,]{1,100}$")]], Meta(max_length=100)]
"""Words that pictures are found by in the gallery, none with a blank or a comma in it."""


class Control(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ControlNet in a job, with its own control image."""

    model: _Path
    """A listed ControlNet's name, or its folder."""
    image: _Path
    """The picture that controls, a path on the engine's box."""
    annotator: Annotator = "none"
    kind: Annotator = "canny"
    """What a picture that needs no annotator shows already; for ControlNets that are a union of several."""
    weight: Annotated[float, Meta(title="Weight", description="How strongly it acts.", ge=0, le=2)] = 1.0
    start: Annotated[float, Meta(title="From", description="Where in the denoising it begins to act.", ge=0, le=1)] = (
        0.0
    )
    end: Annotated[float, Meta(title="To", description="Where in the denoising it ceases to.", ge=0, le=1)] = 1.0


class Adapter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One LoRA in a job."""

    path: _Path
    weight: Annotated[float, Meta(title="Weight", description="How strongly it acts.", ge=-4, le=4)] = 1.0
    text_weight: Annotated[float, Meta(ge=-4, le=4)] | None = None
    """The same on the text encoders, where it differs."""

    @property
    def on_text(self) -> float:
        """How strongly it acts on the text encoders."""
        return self.weight if self.text_weight is None else self.text_weight


class Embedding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One textual inversion in a job: a word of the prompt, and the file that says what it means."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    path: _Path


class Variation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one picture of a job says, where its wildcards make each another."""

    prompt: str
    negative_prompt: str = ""
    adapters: list[Adapter] = []


class Edges(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far outpainting grows a picture, in pixels."""

    left: Annotated[int, _pixels("Left")] = 0
    top: Annotated[int, _pixels("Top")] = 0
    right: Annotated[int, _pixels("Right")] = 0
    bottom: Annotated[int, _pixels("Bottom")] = 0

    @property
    def any(self) -> bool:
        """Whether it grows at all."""
        return bool(self.left or self.top or self.right or self.bottom)


Quantise = Literal["none", "int8"]
"""How the denoiser's weights are made smaller as they are read: not at all, or to 8 bits each."""


class MemoryOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job does to need less memory, from its start; more is done by itself when memory runs out."""

    tile_vae: bool = False
    drop_text_encoders: bool = False
    offload: Offload = "none"
    quantise: Quantise = "none"


class DrawSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a mode remembers and a job carries.

    The annotations are the single place where labels, ranges and help lines are written: the settings pane,
    the command line and the engine's own check all read them (:mod:`tui.protocol.fields`).
    """

    width: Annotated[int, Meta(title="Width", description="Of the picture.", ge=64, le=8192, multiple_of=8, extra=SIDE)]
    height: Annotated[
        int, Meta(title="Height", description="Of the picture.", ge=64, le=8192, multiple_of=8, extra=SIDE)
    ]
    steps: Annotated[int, Meta(title="Steps", description="Denoising steps: more is slower and finer.", ge=1, le=500)]
    guidance_scale: Annotated[
        float,
        Meta(
            title="Guidance",
            description="How strongly the prompt pulls; 1 switches it off.",
            ge=0,
            le=50,
            extra={"step": 0.5},
        ),
    ]
    scheduler: Annotated[str, Meta(title="Scheduler", description="The sampler and its noise schedule.", min_length=1)]
    count: Annotated[
        int, Meta(title="Count", description="Pictures to make, one seed after another.", ge=1, le=1000)
    ] = 1
    image: Annotated[
        str, Meta(title="Image", description="The picture to begin with, a path on the box.", max_length=4096)
    ] = ""
    mask: Annotated[
        str, Meta(title="Mask", description="White is drawn anew, black is kept; a path.", max_length=4096)
    ] = ""
    strength: Annotated[
        float, Meta(title="Strength", description="How far to leave the picture: 0 keeps it, 1 forgets it.", ge=0, le=1)
    ] = 0.6
    mask_blur: Annotated[
        int, Meta(title="Mask blur", description="Softens the mask's edge.", ge=0, le=256, extra={"unit": "px"})
    ] = 4
    grow: Edges = Edges()
    """How far to outpaint."""
    controls: list[Control] = []
    adapters: list[Adapter] = []
    clip_skip: Annotated[
        int,
        Meta(
            title="Clip skip",
            description="1 reads all of CLIP's layers, 2 leaves out the last, as some models were trained.",
            ge=1,
            le=12,
        ),
    ] = 1
    vae: Annotated[
        str, Meta(title="VAE", description="Another VAE than the model's own: a file or folder.", max_length=4096)
    ] = ""
    text_encoder: Annotated[
        str,
        Meta(
            title="Text encoder",
            description="Another than the model's own that is like it: a file or folder.",
            max_length=4096,
        ),
    ] = ""
    memory: MemoryOptions = MemoryOptions()


class ModeState(DrawSettings, frozen=True, kw_only=True, omit_defaults=True):
    """The memento of one mode of one model: saved when it is left, restored when it is entered again."""

    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] = 0
    seed_policy: SeedPolicy = "random"


Format = Literal["", "png", "jpg", "webp"]
"""Of picture files; empty: the one in the settings."""


class Output(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a job keeps its pictures, as the fields of the job that say so."""

    folder: _Path = ""
    format: Format = ""
    quality: int = 95
    file_stem: str = ""
    tags: Tags = []


class Job(DrawSettings, frozen=True, kw_only=True, omit_defaults=True):
    """One request for `count` pictures that differ only in their seed."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    """Made by the client, so that submitting twice after a lost answer makes one job."""

    model: Annotated[str, Meta(title="Model", description="Which model draws.", min_length=1, max_length=4096)]
    mode: Annotated[Mode, Meta(title="Mode", description="What is made from what.")] = "txt2img"
    prompt: Annotated[str, Meta(title="Prompt", description="What the picture shows.", max_length=20_000)] = ""
    negative_prompt: Annotated[
        str, Meta(title="Negative", description="What the picture should not show.", max_length=20_000)
    ] = ""
    prompt_2: Annotated[
        str, Meta(title="Second prompt", description="For the second text encoder; empty: the same.", max_length=20_000)
    ] = ""
    negative_prompt_2: Annotated[
        str,
        Meta(title="Second negative", description="For the second text encoder; empty: the same.", max_length=20_000),
    ] = ""
    prompt_template: Annotated[
        str, Meta(title="Prompt as written", description="Before wildcards were expanded.", max_length=20_000)
    ] = ""
    """Filled in by the engine, as what follows is; empty where the prompt is what was written."""
    negative_template: Annotated[str, Meta(max_length=20_000)] = ""
    embeddings: list[Embedding] = []
    """The textual inversions that the prompts name."""
    variations: list[Variation] = []
    """Picture by picture, where wildcards make each another; empty otherwise."""
    from_tags: Annotated[int, Meta(ge=0)] = 0
    """How many of the adapters, the last ones, are those that the prompts as they were written have tags for."""
    compiled: Annotated[
        bool, Meta(title="Compile", description="Compile the model first: minutes once, then quicker steps.")
    ] = False
    seed: Annotated[
        int, Meta(title="Seed", description="The same seed makes the same picture again.", ge=0, le=MAX_SEED)
    ]
    folder: Annotated[str, Meta(description="Absolute folder for the pictures; empty: the one in the settings.")] = ""
    format: Format = ""
    quality: Annotated[int, Meta(title="Quality", description="Of JPEG and WEBP files.", ge=1, le=100)] = 95
    file_stem: Annotated[str, Meta(description="File name without its ending; empty: made from the job.")] = ""
    tags: Annotated[Tags, Meta(description="Words by which the gallery finds the pictures, with blanks between.")] = []

    def seed_of(self, index: int) -> int:
        """The seed of picture `index` (from 0)."""
        return (self.seed + index) % (MAX_SEED + 1)

    def picture(self, index: int) -> "Job":
        """This job as its picture `index` (from 0) is drawn."""
        if index >= len(self.variations):
            return self
        one = self.variations[index]
        return replace(
            self,
            prompt=one.prompt,
            negative_prompt=one.negative_prompt,
            adapters=[*self.adapters, *one.adapters],
            from_tags=len(one.adapters),
            variations=[],
        )

    @property
    def as_written(self) -> "Job":
        """This job as it was submitted: its prompts with their wildcards and tags, and no adapter of a tag beside."""
        return replace(
            self,
            prompt=self.prompt_template or self.prompt,
            negative_prompt=self.negative_template or self.negative_prompt,
            prompt_template="",
            negative_template="",
            adapters=self.adapters[: len(self.adapters) - self.from_tags],
            from_tags=0,
            variations=[],
        )

    @property
    def as_drawn(self) -> "Job":
        """This job with its prompts as they were drawn, from which nothing is chosen any more."""
        return replace(self, prompt_template="", negative_template="", from_tags=0)


def mode_state(job: Job, seed_policy: SeedPolicy = "random") -> ModeState:
    """The state of the mode that made `job`."""
    kept = {name: getattr(job, name) for name in DrawSettings.__struct_fields__}
    return ModeState(**kept, seed=job.seed, seed_policy=seed_policy)


def new_job_id() -> str:
    """A fresh random job id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def random_seed() -> int:
    """A fresh seed below 2**32, the range that other programs understand too."""
    return secrets.randbits(32)
