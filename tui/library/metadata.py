"""What a picture file tells about its making: A1111's `parameters` text, and our own JSON beside it."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from tui.library.adapter_names import adapter_name
from tui.library.picture_texts import OWN_KEY
from tui.library.prompt.tags import tag
from tui.library.schedulers import SCHEDULERS
from tui.protocol.job import MAX_SEED, Job

PARAMETERS_KEY: Final = "parameters"
"""The text chunk that A1111 introduced and most programs read."""


__all__ = ["OWN_KEY", "PARAMETERS_KEY", "Making", "own_text", "parameters_text", "read_own_text"]


class Making(Struct, frozen=True, kw_only=True):
    """How one picture was made."""

    version: str
    """Of this program."""
    job: Job
    index: Annotated[int, Meta(ge=0)]
    """Which of the job's pictures, from 0."""
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    """Of this picture."""
    model_family: str
    pipeline: str
    """The diffusers class that ran."""
    scheduler: dict[str, Any]
    """The configuration of the scheduler that ran."""
    device: str
    dtype: str
    libraries: dict[str, str]
    """Versions of torch, diffusers and transformers."""


def parameters_text(making: Making) -> str:
    """`making` in A1111's form: the prompt, the negative prompt, and one line of settings.

    Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `create_infotext`.
    """
    job = making.job
    scheduler = SCHEDULERS.get(job.scheduler)
    settings: dict[str, object] = {
        "Steps": job.steps,
        "Sampler": scheduler.sampler if scheduler else job.scheduler,
        "Schedule type": scheduler.schedule if scheduler else "",
        "CFG scale": f"{job.guidance_scale:g}",
        "Seed": making.seed,
        "Size": f"{job.width}x{job.height}",
        "Model": job.model,
        "Clip skip": job.clip_skip if job.clip_skip > 1 else "",
        "Denoising strength": f"{job.strength:g}" if job.mode in ("img2img", "inpaint", "refine") else "",
        "VAE": job.vae,
        "Text encoder": job.text_encoder,
        "Second prompt": job.prompt_2,
        "Second negative": job.negative_prompt_2,
        "Version": f"Latentty {making.version}",
    }
    line = ", ".join(f"{name}: {_quoted(value)}" for name, value in settings.items() if value != "")
    negative = f"Negative prompt: {job.negative_prompt}" if job.negative_prompt else ""
    tags = " ".join(
        tag(adapter_name(Path(one.path)).removesuffix(".safetensors"), one.on_text, one.weight) for one in job.adapters
    )
    prompt = " ".join(part for part in (job.prompt, tags) if part)
    return "\n".join(part for part in (prompt, negative, line) if part)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(letter in text for letter in ',:\n"') else text


def own_text(making: Making) -> str:
    """`making` as the JSON of our own chunk."""
    return msgspec.json.encode(making).decode()


def read_own_text(text: str) -> Making:
    """The reverse of :func:`own_text`.

    Raises:
        msgspec.DecodeError: it is not ours, or damaged.
    """
    try:
        return msgspec.json.decode(text, type=Making)
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deep") from None
