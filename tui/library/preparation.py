"""A job as it is kept: wildcards expanded, tags made into LoRAs, textual inversions found, and all of it checked."""

import hashlib
from pathlib import Path

from msgspec.structs import replace

from tui.library.adapter_header import ModelWidths, misfit, read_widths, unusable
from tui.library.adapter_names import COMMON_NAME
from tui.library.addons import Addons
from tui.library.families import FAMILIES
from tui.library.paths import expanded
from tui.library.prompt.expansion import expand, has_choices
from tui.library.prompt.inversions import named
from tui.library.prompt.notices import Notice, PromptError, refuse_errors
from tui.library.prompt.tags import LoraTag, lora_tags, without_tags
from tui.library.prompt.wildcards import Wildcards
from tui.library.replacements import refuse_misplaced
from tui.protocol.events import ModelInfo
from tui.protocol.job import Adapter, Embedding, Job, Variation
from tui.protocol.problem import LatenttyError, bad_request

MAX_VARIED = 100
"""Pictures of one job whose wildcards make each another."""


def prepare(job: Job, model: ModelInfo, wildcards: Wildcards, addons: Addons) -> Job:
    """`job` as it is to be kept; the same job and files make the same.

    Raises:
        NoSuchAddon: it names a file that the library does not have.
        LatenttyError: a prompt is malformed, names a LoRA or wildcard that is not there, or an adapter does not fit.
    """
    prepared = _replacements(_expanded(_at_home(job), wildcards, addons), addons)
    prepared = replace(prepared, embeddings=_embeddings(prepared, model, addons))
    _refuse_misfits(prepared, model, addons)
    if model.family in FAMILIES:
        refuse_misplaced(prepared, Path(model.configuration or model.path))
    return prepared


def _at_home(job: Job) -> Job:
    """`job` with the home folder of this box for each `~`: whoever typed it may sit at another one."""
    places = {name: _home(getattr(job, name)) for name in ("image", "mask", "vae", "text_encoder", "folder")}
    controls = [replace(one, image=_home(one.image)) for one in job.controls]
    adapters = [replace(one, path=_home(one.path)) for one in job.adapters]
    return replace(job, controls=controls, adapters=adapters, **places)


def _home(path: str) -> str:
    return str(expanded(path)) if path.startswith("~") else path


def missing_from(prompt: str, wildcards: Wildcards, addons: Addons) -> list[Notice]:
    """What `prompt` would be refused for that its grammar does not tell: choices that cannot be made, LoRAs not there.

    Places are those in `prompt`, as it is typed.
    """
    found: list[Notice] = []
    try:
        expand(prompt, wildcards, 0)
    except PromptError as error:
        found.append(error.notice)
    for tag in lora_tags(prompt)[0]:
        try:
            if "{" not in tag.name and "__" not in tag.name:  # chosen when it is drawn
                addons.lora(tag.name)
        except LatenttyError as error:
            found.append(Notice(start=tag.start, end=tag.end, text=error.problem.cause, kind="error"))
    return found


def _expanded(job: Job, wildcards: Wildcards, addons: Addons) -> Job:
    varied = has_choices(job.prompt) or has_choices(job.negative_prompt)
    if varied and job.count > MAX_VARIED:
        raise bad_request(
            f"With wildcards a job makes at most {MAX_VARIED} pictures, not {job.count}.", "Submit it several times."
        )
    said = [_variation(job, index, wildcards, addons) for index in range(job.count if varied else 1)]
    first = said[0]
    changes: dict[str, object] = {"prompt": first.prompt, "negative_prompt": first.negative_prompt}
    if len({(one.prompt, one.negative_prompt, str(one.adapters)) for one in said}) > 1:
        changes |= {"variations": said, "adapters": _found(job.adapters, addons)}
    else:
        changes["adapters"] = [*_found(job.adapters, addons), *first.adapters]
        changes["from_tags"] = len(first.adapters) or job.from_tags
    if first.prompt != job.prompt:
        changes["prompt_template"] = job.prompt
    if first.negative_prompt != job.negative_prompt:
        changes["negative_template"] = job.negative_prompt
    for name in ("prompt_2", "negative_prompt_2"):
        changes[name] = expand(getattr(job, name), wildcards, _seed(job, 0, name))
    return replace(job, **changes)


def _found(adapters: list[Adapter], addons: Addons) -> list[Adapter]:
    """`adapters` with the paths of those that are only named, as a recalled picture names them."""
    return [one if "/" in one.path else replace(one, path=str(addons.lora(one.path))) for one in adapters]


def _replacements(job: Job, addons: Addons) -> Job:
    """`job` with the paths of the VAE and the text encoder that are only named."""
    if job.vae and "/" not in job.vae:
        job = replace(job, vae=str(addons.find("vae", job.vae)))
    if job.text_encoder and "/" not in job.text_encoder:
        job = replace(job, text_encoder=str(addons.find("text encoder", job.text_encoder)))
    return job


def _variation(job: Job, index: int, wildcards: Wildcards, addons: Addons) -> Variation:
    adapters: list[Adapter] = []
    said: list[str] = []
    for name in ("prompt", "negative_prompt"):
        text = expand(getattr(job, name), wildcards, _seed(job, index, name))
        tags, wrong = lora_tags(text)
        refuse_errors(text, wrong)
        adapters += [_adapter(tag, addons) for tag in tags]
        said.append(without_tags(text))
    return Variation(prompt=said[0], negative_prompt=said[1], adapters=adapters)


def _seed(job: Job, index: int, name: str) -> int:
    digest = hashlib.sha256(f"{job.seed_of(index)} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def _adapter(tag: LoraTag, addons: Addons) -> Adapter:
    text_weight = None if tag.text_weight == tag.weight else tag.text_weight
    return Adapter(path=str(addons.lora(tag.name)), weight=tag.weight, text_weight=text_weight)


def _embeddings(job: Job, model: ModelInfo, addons: Addons) -> list[Embedding]:
    """Those that the job was given, and those that its prompts name."""
    if not model.weighting:
        return job.embeddings
    known = addons.embeddings()
    given = {one.name: one for one in job.embeddings if "/" in one.path}
    prompts = [job.prompt, job.negative_prompt, job.prompt_2, job.negative_prompt_2]
    prompts += [text for one in job.variations for text in (one.prompt, one.negative_prompt)]
    for name in named("\n".join(prompts), known):
        given.setdefault(name, Embedding(name=name, path=str(known[name])))
    return list(given.values())


def _refuse_misfits(job: Job, model: ModelInfo, addons: Addons) -> None:
    adapters = [*job.adapters, *(adapter for one in job.variations for adapter in one.adapters)]
    paths = {adapter_path(adapter.path) for adapter in adapters}
    inversions = {Path(one.path) for one in job.embeddings}
    if not (paths or inversions) or model.family not in FAMILIES:
        return
    if inversions and not model.weighting:
        raise bad_request(f"{model.name} takes no textual inversions.", "Leave them out, or choose another model.")
    checkpoint = Path(model.path) if Path(model.path).is_file() else None
    widths: ModelWidths = read_widths(Path(model.configuration or model.path), checkpoint)
    for path in sorted(paths | inversions):
        header = addons.header(path)
        reason = misfit(header, widths)
        if not reason and (header.kind == "embedding") != (path in inversions):
            reason = "it is a textual inversion: name it in the prompt" if path in paths else "it is a LoRA"
        if reason:
            raise unusable(path, reason)


def adapter_path(given: str) -> Path:
    """The file that an adapter's path means: itself, or the one safetensors file in its folder.

    Raises:
        LatenttyError: the folder holds none or several, and none that diffusers wrote.
    """
    path = Path(given)
    if not path.is_dir():
        return path
    if (path / COMMON_NAME).exists():
        return path / COMMON_NAME
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        raise unusable(path, f"the folder holds {len(files)} safetensors files, not one")
    return files[0]
