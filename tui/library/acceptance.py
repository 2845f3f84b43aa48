"""Whether a job can be drawn: everything that can be known before it is accepted, from files' headers alone."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tui.protocol.events import ModelInfo
from tui.protocol.fields import complaints
from tui.protocol.job import Job
from tui.protocol.problem import bad_request

FROM_A_PICTURE = frozenset({"img2img", "inpaint", "outpaint", "edit", "refine"})


def refuse_impossible(job: Job, model: ModelInfo, known_controls: Iterable[str]) -> None:
    """Nothing, when `model` can draw `job`.

    Raises:
        LatenttyError: it cannot; every reason is in the message.
    """
    looks = (complaints(job), _output(job), _model(job, model), _pictures(job), _controls(job, model, known_controls))
    reasons = [reason for look in looks for reason in look]
    if reasons:
        raise bad_request(" ".join(reasons), "Correct it and try again.")


def _output(job: Job) -> Iterator[str]:
    if job.folder and not Path(job.folder).is_absolute():
        yield f"The folder {job.folder} is not absolute."
    if job.file_stem and ("/" in job.file_stem or job.file_stem.startswith(".")):
        yield f"The file name {job.file_stem!r} is not possible."


def _model(job: Job, model: ModelInfo) -> Iterator[str]:
    if job.mode not in model.modes:
        yield f"{model.name} has no mode {job.mode}; it has {', '.join(model.modes)}."
    if job.scheduler not in model.schedulers:
        yield f"{model.name} has no scheduler called {job.scheduler!r}; it has {', '.join(model.schedulers)}."
    multiple = model.size_multiple
    if job.width % multiple or job.height % multiple:
        yield f"{model.name} cannot draw {job.width}×{job.height}: it needs multiples of {multiple} pixels."
    if job.negative_prompt and not model.negative_prompt:
        yield f"{model.name} takes no negative prompt."


def _pictures(job: Job) -> Iterator[str]:
    if job.mode in FROM_A_PICTURE:
        yield from _missing(job.image, f"The mode {job.mode} begins with a picture, and none is given.")
    if job.mode == "inpaint":
        yield from _missing(job.mask, "Inpainting needs a mask, and none is given.")
    if job.mode == "outpaint" and not job.grow.any:
        yield "Outpainting needs at least one edge to grow."
    if job.mode in ("img2img", "inpaint", "refine") and int(job.steps * job.strength) < 1:
        yield f"{job.steps} steps at a strength of {job.strength:g} are less than one: raise either."
    for control in job.controls:
        yield from _missing(control.image, "A ControlNet needs a picture, and none is given.")
    for adapter in job.adapters:
        yield from _missing(adapter.path, "A LoRA has no file.")


def _missing(path: str, otherwise: str) -> Iterator[str]:
    if not path:
        yield otherwise
    elif not Path(path).is_absolute():
        yield f"The path {path} is not absolute."
    elif not Path(path).exists():
        yield f"{path} is not there."


def _controls(job: Job, model: ModelInfo, known: Iterable[str]) -> Iterator[str]:
    names = set(known)
    for control in job.controls:
        if control.model not in names:
            yield f"There is no ControlNet called {control.model!r}."
        elif control.model not in model.controls:
            yield f"The ControlNet {control.model} was not made for models like {model.name}."
        elif job.mode not in model.controls[control.model]:
            modes = ", ".join(model.controls[control.model])
            yield f"{model.name} cannot use {control.model} in the mode {job.mode}, only in {modes}."
        if control.start >= control.end:
            yield f"The ControlNet {control.model} would end before it starts."
