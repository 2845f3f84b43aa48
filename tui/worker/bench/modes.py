"""Measures of swapping the mode and of taking a ControlNet in and out."""

import math
from pathlib import Path

import diffusers

from tui.library.families import FAMILIES
from tui.library.models import read_model
from tui.protocol.job import Mode
from tui.worker.bench.stage import Stage, Told, collect, median_seconds, naive_pipeline, nothing
from tui.worker.cancel import CancelToken
from tui.worker.views import view


def _other_mode(path: Path) -> Mode:
    """A mode to swap to."""
    return "img2img" if "img2img" in read_model(path).modes else "txt2img"


def _addresses(stage: Stage) -> dict[int, int]:
    """Bytes by address, of every weight on the device."""
    parts = stage.model.components.values()
    return {tensor.data_ptr(): tensor.nbytes for part in parts for tensor in part.module.parameters()}


def mode_swap_ours(path: Path) -> Told:
    """The pipeline of another mode, built anew each time from the resident components."""
    stage, mode = Stage.of(path), _other_mode(path)
    before = _addresses(stage)

    def swap() -> None:
        stage.model.views.clear()
        view(stage.model, mode)

    swap()  # the class is imported once
    value = median_seconds(swap, 50)
    moved = sum(size for place, size in _addresses(stage).items() if place not in before)
    return {"value": value, "bytes_moved": moved}


def mode_swap_naive(path: Path) -> Told:
    """Delete, collect, load the other class."""
    cls = getattr(diffusers, str(read_model_class(path, _other_mode(path))))
    holder = [naive_pipeline(path)]

    def swap() -> None:
        holder.clear()
        collect()
        holder.append(naive_pipeline(path, cls))

    swap()
    return {"value": median_seconds(swap, 5), "bytes_moved": read_model(path).bytes}


def read_model_class(path: Path, mode: Mode) -> str | None:
    """The diffusers class for `mode` of the model in `path`."""
    return FAMILIES[read_model(path).family].pipeline(mode)


def controlnet_ours(path: Path, net: Path) -> Told:
    """A ControlNet that is on the device, taken in and left out ten times; how often it is loaded meanwhile."""
    stage = Stage.of(path)
    loads = 0

    def toggle() -> None:
        nonlocal loads
        component = stage.residents.controlnet(str(net))
        if not component.placed:
            loads += 1
            stage.residents.ensure([component], CancelToken(), nothing)
        view(stage.model, "txt2img", [component])
        view(stage.model, "txt2img")

    toggle()
    value = median_seconds(toggle, 10, enough=math.inf)
    return {"value": value, "loads": loads}


def controlnet_naive(path: Path, net: Path) -> Told:
    """The ControlNet loaded and given to `from_pipe` each time."""
    device_pipeline = naive_pipeline(path)

    def toggle() -> None:
        kind = device_pipeline.unet.dtype
        loaded = diffusers.ControlNetModel.from_pretrained(net, dtype=kind, local_files_only=True)
        cls = diffusers.StableDiffusionControlNetPipeline
        cls.from_pipe(device_pipeline, controlnet=loaded.to(device_pipeline.device), dtype=kind)

    toggle()
    return {"value": median_seconds(toggle, 10, enough=math.inf), "loads": 11}
