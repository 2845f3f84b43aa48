"""Whether a job can be drawn: everything that can be known before it is accepted, from files' headers alone."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tui.library.families import FAMILIES
from tui.library.gguf_header import GGUF
from tui.library.prompt.reading import features, notices
from tui.protocol.events import ControlNetInfo, ModelInfo
from tui.protocol.fields import complaints
from tui.protocol.job import Job
from tui.protocol.problem import bad_request

MAX_STEM: Final = 240
"""Bytes of a file name without its number and ending, which bring it to the 255 that file systems take."""

MAX_IN_JPEG = 16_000
"""Bytes of a job's prompts that surely fit into the 64 KiB that JPEG has for each kind of text."""

FROM_A_PICTURE = frozenset({"img2img", "inpaint", "outpaint", "edit", "refine"})


def refuse_impossible(job: Job, model: ModelInfo, controlnets: Mapping[str, ControlNetInfo]) -> None:
    """Nothing, when `model` can draw `job`.

    Raises:
        LatenttyError: it cannot; every reason is in the message.
    """
    looks = (
        complaints(job),
        _output(job),
        _model(job, model),
        _prompts(job, model),
        _pictures(job),
        _controls(job, model, controlnets),
    )
    reasons = [reason for look in looks for reason in look]
    if reasons:
        raise bad_request(" ".join(reasons), "Correct it and try again.")


def _output(job: Job) -> Iterator[str]:
    if job.folder and not Path(job.folder).is_absolute():
        yield f"The folder {job.folder} is not absolute."
    if "\0" in job.folder:
        yield "A folder's name cannot hold a NUL."
    if job.file_stem and not _is_file_stem(job.file_stem):
        yield f"The file name {job.file_stem!r} is not possible."
    texts = (job.prompt, job.negative_prompt, job.prompt_2, job.negative_prompt_2, job.prompt_template)
    if job.format == "jpg" and sum(len(text.encode(errors="replace")) for text in texts) > MAX_IN_JPEG:
        yield f"A JPEG file cannot carry prompts of more than {MAX_IN_JPEG} bytes: choose PNG or WEBP."


def _is_file_stem(name: str) -> bool:
    return not (set("/\0") & set(name) or name.startswith(".") or len(name.encode()) > MAX_STEM)


def _model(job: Job, model: ModelInfo) -> Iterator[str]:
    if job.mode not in model.modes:
        yield f"{model.name} has no mode {job.mode}; it has {', '.join(model.modes)}."
    if job.scheduler not in model.schedulers:
        yield f"{model.name} has no scheduler called {job.scheduler!r}; it has {', '.join(model.schedulers)}."
    multiple = model.size_multiple
    if job.width % multiple or job.height % multiple:
        yield f"{model.name} cannot draw {job.width}×{job.height}: it needs multiples of {multiple} pixels."
    yield from _strength(job, model)
    if job.memory.quantise != "none":
        yield from _quantised(job, model)
    if job.negative_prompt and not model.negative_prompt:
        yield f"{model.name} takes no negative prompt."


def _quantised(job: Job, model: ModelInfo) -> Iterator[str]:
    if find_spec("torchao") is None:
        yield 'Weights of 8 bits need the package torchao: pip install "latentty[torchao]".'
    if model.path.endswith(".gguf"):
        yield f"{model.name} is quantised already."
    if job.adapters or any(one.adapters for one in job.variations):
        yield "LoRAs cannot be added to weights of 8 bits; leave out one or the other."


def _prompts(job: Job, model: ModelInfo) -> Iterator[str]:
    """What a prompt says must have an effect on this model, and be what its grammar allows."""
    for prompt in (job.prompt, job.negative_prompt, job.prompt_2, job.negative_prompt_2):
        if model.weighting:
            yield from (_told(prompt, one.start, one.text) for one in notices(prompt) if one.kind == "error")
        else:
            for one in features(prompt)[:1]:
                way = "small letters make" if one.name.isupper() else "a backslash before a bracket makes"
                why = f"{model.name} knows no {one.name}; {way} it text."
                yield _told(prompt, one.start, why)
    if job.clip_skip > 1 and not model.clip_skip:
        yield f"{model.name} has no clip skip."
    if (job.prompt_2 or job.negative_prompt_2) and not model.second_prompt:
        yield f"{model.name} has no second text encoder to tell something else."
    if job.negative_prompt_2 and not model.negative_prompt:
        yield f"{model.name} takes no second negative prompt."


def _told(prompt: str, start: int, text: str) -> str:
    return f"At letter {start + 1} of the prompt ({prompt[start : start + 24]!r}): {text}"


def _strength(job: Job, model: ModelInfo) -> Iterator[str]:
    """A strength at which nothing is drawn, or at which the picture is not looked at, has no effect that is meant."""
    if job.mode not in ("img2img", "inpaint", "refine"):
        return
    told = f"{job.steps} steps at a strength of {job.strength:g}"
    family = FAMILIES.get(model.family)
    if family is not None and family.scheduler_kind == "flow":
        if 0 < job.strength < 1 and int(job.steps * (1 - job.strength)) == 0:
            yield f"{told} would ignore the picture: take more steps, or less strength."
        if job.strength == 0:
            yield "A strength of 0 draws nothing."
    elif int(job.steps * job.strength) < 1:
        yield f"{told} are less than one: raise either."


def _pictures(job: Job) -> Iterator[str]:
    if job.mode in FROM_A_PICTURE:
        yield from _missing(job.image, f"The mode {job.mode} begins with a picture, and none is given.")
    if job.mode == "inpaint":
        yield from _missing(job.mask, "Inpainting needs a mask, and none is given.")
    if job.mode == "outpaint" and not job.grow.any:
        yield "Outpainting needs at least one edge to grow."
    for control in job.controls:
        yield from _missing(control.image, "A ControlNet needs a picture, and none is given.")
    for path in (job.vae, job.text_encoder):
        if path:
            yield from _missing(path, "")
    yield from _encoder(job.text_encoder)
    for adapter in job.adapters:
        yield from _missing(adapter.path, "A LoRA has no file.")


def _encoder(path: str) -> Iterator[str]:
    suffix = Path(path).suffix.lower()
    if not path or Path(path).is_dir():
        return
    if suffix not in (".safetensors", ".sft", GGUF):
        yield f"Of text encoders, folders and files in safetensors or GGUF are opened; {path} is none."
    elif suffix == GGUF and find_spec("gguf") is None:
        yield f'The text encoder {path} needs the package gguf: pip install "latentty[gguf]".'


def _missing(path: str, otherwise: str) -> Iterator[str]:
    if not path:
        yield otherwise
    elif not Path(path).is_absolute():
        yield f"The path {path} is not absolute."
    elif not Path(path).exists():
        yield f"{path} is not there."


def _controls(job: Job, model: ModelInfo, controlnets: Mapping[str, ControlNetInfo]) -> Iterator[str]:
    for control in job.controls:
        if control.model not in controlnets:
            yield f"There is no ControlNet called {control.model!r}."
        elif control.model not in model.controls:
            yield f"The ControlNet {control.model} was not made for models like {model.name}."
        elif job.mode not in model.controls[control.model]:
            modes = ", ".join(model.controls[control.model])
            yield f"{model.name} cannot use {control.model} in the mode {job.mode}, only in {modes}."
        if control.start >= control.end:
            yield f"The ControlNet {control.model} would end before it starts."
    yield from _together(job, model, controlnets)


def _together(job: Job, model: ModelInfo, controlnets: Mapping[str, ControlNetInfo]) -> Iterator[str]:
    family = FAMILIES.get(model.family)
    used = [controlnets[control.model] for control in job.controls if control.model in model.controls]
    if family is None or not used:
        return
    classes = family.controls[used[0].class_name]
    if len({(info.class_name, info.inpainting) for info in used}) > 1:
        yield "ControlNets of different kinds cannot be used together."
    elif len(used) > 1 and not classes.multi:
        yield f"{model.name} takes one ControlNet of this kind at a time."
    if not classes.timed and any((one.start, one.end) != (0, 1) for one in job.controls):
        yield f"{used[0].name} acts from the start to the end, and no shorter."
