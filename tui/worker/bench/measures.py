"""The measures, by row and way. Each returns the value and what else is worth telling."""

import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import diffusers
import torch

from tui.library.models import read_model
from tui.protocol.commands import Target
from tui.protocol.job import Mode
from tui.worker.bench.stage import (
    Stage,
    collect,
    job_for,
    median_seconds,
    naive_call,
    naive_pipeline,
    nothing,
    peak_bytes,
    seconds,
    settle,
)
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.preview import LatentToRgb
from tui.worker.runner import Outlet
from tui.worker.views import view

Told = dict[str, float]


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
    from tui.library.families import FAMILIES

    return FAMILIES[read_model(path).family].pipeline(mode)


def load_ours(path: Path) -> Told:
    """A model to the device, its files in the page cache."""
    Stage.of(path)  # what is imported and cached once
    return {"value": median_seconds(lambda: Stage.of(path), 5), "bytes_moved": read_model(path).bytes}


def load_naive(path: Path) -> Told:
    """`from_pretrained` and `.to`."""
    naive_pipeline(path)
    return {"value": median_seconds(lambda: naive_pipeline(path), 5), "bytes_moved": read_model(path).bytes}


def load_limit(path: Path) -> Told:
    """Its weight files read from the page cache into memory that is there already, by one thread."""
    files = sorted(path.rglob("*.safetensors"))
    room = bytearray(max(file.stat().st_size for file in files))

    def read() -> None:
        for file in files:
            with file.open("rb", buffering=0) as opened:
                opened.readinto(room)

    read()
    return {"value": median_seconds(read, 5)}


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
    value = median_seconds(toggle, 10)
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
    return {"value": median_seconds(toggle, 10), "loads": 11}


def end_to_end_ours(path: Path) -> Told:
    """From a resident model to the saved picture."""
    stage = Stage.of(path)
    with tempfile.TemporaryDirectory() as folder:

        def draw() -> None:
            job = job_for(path)
            stage.run(job).make(Target(index=0, path=f"{folder}/{job.id}.png"))

        draw()
        return {"value": median_seconds(draw, 3)}


def end_to_end_naive(path: Path) -> Told:
    """The same with the pipeline called and the picture saved by hand."""
    pipeline = naive_pipeline(path)
    with tempfile.TemporaryDirectory() as folder:

        def draw() -> None:
            pipeline(**naive_call(job_for(path))).images[0].save(f"{folder}/x.png")

        draw()
        return {"value": median_seconds(draw, 3)}


FEW, MANY = 4, 12
"""Steps of two runs whose difference is what steps alone cost."""


def _step(draw: Callable[[int], object]) -> Told:
    draw(FEW)
    few = median_seconds(lambda: draw(FEW), 3)
    many = median_seconds(lambda: draw(MANY), 3)
    return {"value": (many - few) / (MANY - FEW)}


def step_ours(path: Path) -> Told:
    """One denoising step, with its progress, previews and places to cancel."""
    stage = Stage.of(path)
    colours = LatentToRgb.fit(stage.model.components["vae"].module)
    with tempfile.TemporaryDirectory() as folder:

        def draw(steps: int) -> None:
            job = job_for(path, steps=steps)
            stage.run(job, colours=colours).make(Target(index=0, path=f"{folder}/{job.id}.png"))

        return _step(draw)


def step_naive(path: Path) -> Told:
    """One step of the bare pipeline."""
    pipeline = naive_pipeline(path)
    return _step(lambda steps: pipeline(**naive_call(job_for(path, steps=steps))))


def preview_ours(path: Path) -> Told:
    """One preview frame: latents to RGB, and off the device."""
    stage = Stage.of(path)
    vae: Any = stage.model.components["vae"].module
    colours = LatentToRgb.fit(vae)
    job = job_for(path)
    side = 2 ** (len(vae.config.block_out_channels) - 1)
    latents = torch.randn(vae.config.latent_channels, job.height // side, job.width // side, device=vae.device)
    colours(latents)
    return {"value": median_seconds(lambda: colours(latents), 20)}


def preview_naive(path: Path) -> Told:
    """The latents decoded by the VAE itself."""
    pipeline = naive_pipeline(path)
    job, vae = job_for(path), pipeline.vae
    side = 2 ** (len(vae.config.block_out_channels) - 1)
    shape = (1, vae.config.latent_channels, job.height // side, job.width // side)
    latents = torch.randn(shape, device=vae.device, dtype=vae.dtype)

    def decode() -> None:
        with torch.no_grad():
            vae.decode(latents).sample.float().cpu()

    decode()
    return {"value": median_seconds(decode, 5)}


def cancel_ours(path: Path) -> Told:
    """From the request, in the middle of a step, to the end of the run."""
    stage = Stage.of(path)
    taken = []
    for _ in range(5):
        token, started = CancelToken(), threading.Event()
        outlet = Outlet(partial(_set, started), nothing, nothing)
        run = stage.run(job_for(path, steps=200), token, outlet)
        asked: list[float] = []

        def ask(token: CancelToken = token, started: threading.Event = started, asked: list[float] = asked) -> None:
            started.wait()
            time.sleep(0.3)
            asked.append(time.perf_counter())
            token.cancel()

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            run.make(Target(index=0, path="/nonexistent/x.png"))
        except Cancelled:
            settle()
            taken.append(time.perf_counter() - asked[0])
        asking.join()
    return {"value": sorted(taken)[len(taken) // 2]}


def _set(event: threading.Event, _: object) -> None:
    event.set()


def cancel_naive(path: Path) -> Told:
    """diffusers' own flag: the steps that are left are skipped, and the picture is decoded all the same."""
    pipeline = naive_pipeline(path)
    taken = []
    for _ in range(5):
        asked: list[float] = []
        timer = threading.Timer(0.3, lambda: asked.append(time.perf_counter()))  # noqa: B023 - it ends in this round
        timer.start()
        pipeline(**naive_call(job_for(path, steps=200)), callback_on_step_end=partial(_stop, asked))
        settle()
        taken.append(time.perf_counter() - asked[0])
    return {"value": sorted(taken)[len(taken) // 2]}


def _stop(asked: list[float], pipe: Any, _step: int, _time: Any, named: dict[str, Any]) -> dict[str, Any]:
    if asked:
        pipe._interrupt = True
    return named


def model_swap_ours(path: Path, other: Path) -> Told:
    """To another model and back, with a budget for one: from the mapped files, nothing copied back."""
    largest = max(read_model(one).bytes for one in (path, other)) * 2
    stage = Stage.of(path, budget=largest * 11 // 10)
    models = [stage.model, stage.residents.model(other.name, str(other))]
    stage.place(models[1])

    def swap() -> None:
        for model in models:
            stage.place(model)

    value = seconds(swap) / 2
    return {"value": value, "peak_bytes": peak_bytes()}


def model_swap_naive(path: Path, other: Path) -> Told:
    """Delete, collect, load the other model."""
    holder = [naive_pipeline(path)]

    def swap() -> None:
        for one in (other, path):
            holder.clear()
            collect()
            holder.append(naive_pipeline(one))

    return {"value": seconds(swap) / 2, "peak_bytes": peak_bytes()}


MEASURES: Final[dict[tuple[str, str], Callable[..., Told]]] = {
    ("load_warm", "ours"): load_ours,
    ("load_warm", "naive"): load_naive,
    ("load_warm", "limit"): load_limit,
    ("mode_swap", "ours"): mode_swap_ours,
    ("mode_swap", "naive"): mode_swap_naive,
    ("controlnet_add", "ours"): controlnet_ours,
    ("controlnet_add", "naive"): controlnet_naive,
    ("model_swap_disk", "ours"): model_swap_ours,
    ("model_swap_disk", "naive"): model_swap_naive,
    ("step", "ours"): step_ours,
    ("step", "naive"): step_naive,
    ("end_to_end", "ours"): end_to_end_ours,
    ("end_to_end", "naive"): end_to_end_naive,
    ("preview", "ours"): preview_ours,
    ("preview", "naive"): preview_naive,
    ("cancel_step", "ours"): cancel_ours,
    ("cancel_step", "naive"): cancel_naive,
}
"""Each runs alone in a process of its own."""
