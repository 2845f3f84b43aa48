"""The arguments of one pipeline call, from a job: what each class calls them, and nothing that it would ignore."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from tui.library.prompt.emphasis import unescaped
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.inputs import Canvas, canvas, fitted, open_picture
from tui.worker.residents import Model


@dataclass(frozen=True)
class Call:
    """What a pipeline is called with, and the canvas whose black parts are kept, if any."""

    arguments: dict[str, Any]
    canvas: Canvas | None


def call_for(job: Job, model: Model, pipeline: Any, control_images: list[Image.Image], seed: int) -> Call:
    """The call that makes the picture of `job` with `seed` on `pipeline`.

    Raises:
        LatenttyError: a picture cannot be opened, or the class has no use for something the job needs.
    """
    accepted = inspect.signature(pipeline.__call__).parameters
    drawn_on = canvas(job) if job.mode in ("inpaint", "outpaint") else None
    needed: dict[str, Any] = {"prompt": _said(job.prompt, model)} | _further_prompts(job, model)
    if "control_mask" in accepted and drawn_on is not None:  # the ControlNet sees the picture and the mask itself
        needed |= {"control_image": drawn_on.picture, "control_mask": drawn_on.mask} | _weights(job, pipeline, accepted)
    else:
        needed |= _pictures(job, drawn_on)
        if control_images:
            needed |= _control_images(control_images, accepted) | _weights(job, pipeline, accepted)
            needed |= _union_modes(job, model, pipeline)
    negative = job.negative_prompt or model.family.blank_negative
    if negative:
        needed["negative_prompt"] = _said(negative, model)
    missing = [name for name in needed if name not in accepted]
    if missing:
        raise LatenttyError(
            Problem(
                code="internal",
                cause=f"{type(pipeline).__name__} takes no {' and no '.join(missing)}, which the job needs.",
                hint="This is a defect of Latentty; please report it.",
            )
        )
    optional = {
        "width": job.width,
        "height": job.height,
        "max_area": job.width * job.height,
        "num_inference_steps": job.steps,
        "strength": 1.0 if job.mode == "outpaint" else job.strength,
        model.family.guidance_argument: job.guidance_scale,
        **model.family.call,
    }
    if job.steps != 2:  # Sana Sprint's has a value that it takes with two steps alone
        optional["intermediate_timesteps"] = None
    arguments = {name: value for name, value in optional.items() if name in accepted} | needed
    # on the CPU whatever the device: so a seed means the same on every box
    arguments["generator"] = torch.Generator("cpu").manual_seed(seed)
    return Call(arguments, drawn_on)


def _said(prompt: str, model: Model) -> str:
    """`prompt` as the pipeline gets it: where words can be weighed, :mod:`tui.worker.conditioning` reads it further."""
    return prompt if model.family.weighting else unescaped(prompt)


def _further_prompts(job: Job, model: Model) -> dict[str, Any]:
    further: dict[str, Any] = {}
    for name in ("prompt_2", "negative_prompt_2"):
        if text := getattr(job, name):
            further[name] = _said(text, model)
    if job.clip_skip > 1 and not model.family.weighting:
        further["clip_skip"] = job.clip_skip - 1
    return further


def _pictures(job: Job, drawn_on: Canvas | None) -> dict[str, Any]:
    if drawn_on is not None:
        return {"image": drawn_on.picture, "mask_image": drawn_on.mask}
    if job.mode == "txt2img":
        return {}
    picture = fitted(open_picture(job.image), job.width, job.height)
    return {"image": picture} if job.mode == "edit" else {"image": picture, "strength": job.strength}


def _control_images(images: list[Image.Image], accepted: Any) -> dict[str, Any]:
    name = "control_image" if "control_image" in accepted else "image"
    return {name: images[0] if len(images) == 1 else images}


def _weights(job: Job, pipeline: Any, accepted: Any) -> dict[str, Any]:
    """How strongly each ControlNet pulls, and when; a list where there are several."""
    values = {
        "controlnet_conditioning_scale": [control.weight for control in job.controls],
        "control_guidance_start": [control.start for control in job.controls],
        "control_guidance_end": [control.end for control in job.controls],
    }
    timed = "control_guidance_start" in accepted or any((one.start, one.end) != (0, 1) for one in job.controls)
    names = list(values) if timed else ["controlnet_conditioning_scale"]
    return {name: values[name] if len(job.controls) > 1 else values[name][0] for name in names}


def _union_modes(job: Job, model: Model, pipeline: Any) -> dict[str, Any]:
    """Which part of a union ControlNet each control image is for; nothing for the other kinds."""
    nets = getattr(pipeline.controlnet, "nets", [pipeline.controlnet])
    kind = type(nets[0]).__name__
    if kind != "ControlNetUnionModel" and not getattr(nets[0], "union", False):
        return {}
    known = model.family.controls[kind].union_modes
    kinds = [control.kind if control.annotator == "none" else control.annotator for control in job.controls]
    modes = [known.get(kind, min(known.values())) for kind in kinds]
    return {"control_mode": modes if kind == "ControlNetUnionModel" or len(modes) > 1 else modes[0]}
