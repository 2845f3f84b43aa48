"""A job: everything that decides what a picture looks like, immutable once made."""

import secrets
from typing import Annotated, Literal

from msgspec import Meta, Struct

Mode = Literal["txt2img"]
"""What the pipeline does; it is part of the job and never changes while the job waits."""

MAX_SEED = 2**63 - 1
"""The largest seed that torch's generator takes."""


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request for `count` pictures that differ only in their seed.

    The annotations are the single place where labels, ranges and help lines are written: the settings pane,
    the command line and the engine's own check all read them (:mod:`tui.protocol.fields`).
    """

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    """Made by the client, so that submitting twice after a lost answer makes one job."""

    model: Annotated[str, Meta(title="Model", description="Which model draws.", min_length=1, max_length=4096)]
    mode: Annotated[Mode, Meta(title="Mode", description="What is made from what.")] = "txt2img"
    prompt: Annotated[str, Meta(title="Prompt", description="What the picture shows.", max_length=20_000)] = ""
    negative_prompt: Annotated[
        str, Meta(title="Negative", description="What the picture should not show.", max_length=20_000)
    ] = ""
    width: Annotated[
        int, Meta(title="Width", description="Of the picture.", ge=64, le=8192, multiple_of=8, extra={"unit": "px"})
    ]
    height: Annotated[
        int, Meta(title="Height", description="Of the picture.", ge=64, le=8192, multiple_of=8, extra={"unit": "px"})
    ]
    steps: Annotated[int, Meta(title="Steps", description="Denoising steps: more is slower and finer.", ge=1, le=500)]
    guidance_scale: Annotated[
        float, Meta(title="Guidance", description="How strongly the prompt pulls; 1 switches it off.", ge=0, le=50)
    ]
    scheduler: Annotated[str, Meta(title="Scheduler", description="The sampler and its noise schedule.", min_length=1)]
    seed: Annotated[
        int, Meta(title="Seed", description="The same seed makes the same picture again.", ge=0, le=MAX_SEED)
    ]
    count: Annotated[int, Meta(title="Count", description="Pictures to make, one seed after another.", ge=1, le=1000)]
    folder: Annotated[str, Meta(description="Absolute folder for the pictures; empty: the one in the settings.")] = ""
    file_stem: Annotated[str, Meta(description="File name without its ending; empty: made from the job.")] = ""

    def seed_of(self, index: int) -> int:
        """The seed of picture `index` (from 0)."""
        return (self.seed + index) % (MAX_SEED + 1)


def new_job_id() -> str:
    """A fresh random job id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def random_seed() -> int:
    """A fresh seed below 2**32, the range that other programs understand too."""
    return secrets.randbits(32)
