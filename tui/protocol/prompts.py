"""What is known about a prompt before it is drawn."""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict

from tui.protocol.job import DrawSettings, Job, Mode, ModeState, Output, new_job_id

_Prompt = Annotated[str, Meta(max_length=20_000)]


class PromptNotice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing about a prompt that may not be meant."""

    start: int
    """The first letter that it is about, counted from 0."""
    end: int
    """The letter after the last."""
    text: str
    """What is wrong, one sentence."""
    kind: Literal["error", "warning"] = "warning"
    """With an error, the prompt is not accepted."""


class EncoderCount(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long a prompt is for one text encoder."""

    encoder: str
    """What the model calls it, such as "text_encoder_2"."""
    tokens: int
    """Without the two that begin and end a chunk, and without padding."""
    limit: int
    """How many it takes at once: a chunk of CLIP's, or all that a family lets it read."""
    chunks: list[int] = []
    """Where each chunk but the last ends, as a number of tokens from the start; empty for one chunk."""
    starts: list[int] = []
    """The letters of the prompt, counted from 0, where a further chunk begins, or what is left out."""
    cut: bool = False
    """Whether what is beyond the limit is left out, rather than read in a further chunk."""


class TokenCounts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt's length for each text encoder of a model, and what may not be meant in it."""

    encoders: list[EncoderCount] = []
    """Empty when the model's tokenizers cannot be read without loading it."""
    notices: list[PromptNotice] = []


class Draft(Struct, frozen=True, kw_only=True):
    """What a studio says, drawn or not."""

    model: str
    mode: Mode
    prompt: _Prompt
    negative_prompt: _Prompt
    state: ModeState
    prompt_2: _Prompt = ""
    negative_prompt_2: _Prompt = ""
    output: Output = Output()


def drawn_by(draft: Draft) -> Job:
    """The job that `draft` begins."""
    state = {name: getattr(draft.state, name) for name in DrawSettings.__struct_fields__}
    return Job(
        id=new_job_id(),
        model=draft.model,
        mode=draft.mode,
        prompt=draft.prompt,
        negative_prompt=draft.negative_prompt,
        prompt_2=draft.prompt_2,
        negative_prompt_2=draft.negative_prompt_2,
        seed=draft.state.seed,
        **state,
        **asdict(draft.output),
    )


class PastPrompt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job was told to draw."""

    prompt: str
    negative_prompt: str = ""
