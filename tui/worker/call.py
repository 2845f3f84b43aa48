"""The arguments of one pipeline call, from a job: what each class calls them, and nothing that it would ignore."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

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
    inputs, drawn_on = _inputs(job)
    needed: dict[str, Any] = {"prompt": job.prompt, **inputs}
    if control_images:
        needed |= _controls(job, control_images, accepted)
    if job.negative_prompt:
        needed["negative_prompt"] = job.negative_prompt
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
        "num_inference_steps": job.steps,
        model.family.guidance_argument: job.guidance_scale,
        **model.family.call,
    }
    arguments = needed | {name: value for name, value in optional.items() if name in accepted}
    # on the CPU whatever the device: so a seed means the same on every box
    arguments["generator"] = torch.Generator("cpu").manual_seed(seed)
    return Call(arguments, drawn_on)


def _inputs(job: Job) -> tuple[dict[str, Any], Canvas | None]:
    match job.mode:
        case "txt2img":
            return {}, None
        case "img2img" | "refine":
            return {"image": fitted(open_picture(job.image), job.width, job.height), "strength": job.strength}, None
        case "edit":
            return {"image": fitted(open_picture(job.image), job.width, job.height)}, None
        case "inpaint" | "outpaint":
            drawn_on = canvas(job)
            strength = 1.0 if job.mode == "outpaint" else job.strength
            return {"image": drawn_on.picture, "mask_image": drawn_on.mask, "strength": strength}, drawn_on


def _controls(job: Job, images: list[Image.Image], accepted: Any) -> dict[str, Any]:
    several = len(images) > 1

    def each(values: list[Any]) -> Any:
        return values if several else values[0]

    controls = job.controls
    wanted = {
        "control_image" if "control_image" in accepted else "image": each(images),
        "controlnet_conditioning_scale": each([control.weight for control in controls]),
    }
    if any((control.start, control.end) != (0.0, 1.0) for control in controls) or "control_guidance_start" in accepted:
        wanted["control_guidance_start"] = each([control.start for control in controls])
        wanted["control_guidance_end"] = each([control.end for control in controls])
    return wanted
