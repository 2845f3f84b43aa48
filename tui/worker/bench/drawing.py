"""Measures of what happens once a model is on the device: steps, pictures, previews, cancelling."""

import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from tui.protocol.commands import Target
from tui.worker.bench.stage import (
    Stage,
    Told,
    asker,
    job_for,
    median_seconds,
    naive_call,
    naive_pipeline,
    nothing,
    peak_device_bytes,
    seconds,
    settle,
)
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.preview import LatentToRgb, pixels_per_latent
from tui.worker.runner import Outlet


def end_to_end_ours(path: Path) -> Told:
    """From a resident model to the saved picture."""
    stage = Stage.of(path)
    with tempfile.TemporaryDirectory() as folder:

        def draw() -> None:
            stage.draw(job_for(path), folder)

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


def peak_device_ours(path: Path) -> Told:
    """The most GPU memory while the second picture is drawn, with a model, its prompt and its graph."""
    stage = Stage.of(path)
    with tempfile.TemporaryDirectory() as folder:

        def draw() -> None:
            stage.draw(job_for(path, steps=FEW), folder)

        draw()
        return {"value": float(peak_device_bytes(draw))}


def peak_device_naive(path: Path) -> Told:
    """The same with the pipeline called by hand."""
    pipeline = naive_pipeline(path)
    pipeline(**naive_call(job_for(path, steps=FEW)))
    return {"value": float(peak_device_bytes(lambda: pipeline(**naive_call(job_for(path, steps=FEW)))))}


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
            stage.draw(job_for(path, steps=steps), folder, colours)

        return _step(draw)


def step_compiled_ours(path: Path) -> Told:
    """One step whose repeated blocks are compiled; the first picture compiles them."""
    stage = Stage.of(path)
    with tempfile.TemporaryDirectory() as folder:

        def draw(steps: int) -> None:
            stage.draw(job_for(path, steps=steps, compiled=True), folder)

        first = seconds(lambda: draw(FEW))
        return _step(draw) | {"first_seconds": first}


def step_limit(path: Path) -> Told:
    """The operations of one step, at the rate at which this device multiplies large matrices."""
    stage = Stage.of(path)
    counter: Any = FlopCounterMode(display=False)
    with tempfile.TemporaryDirectory() as folder:
        operations = []
        for steps in (1, 2):
            with counter:
                stage.draw(job_for(path, steps=steps), folder)
            operations.append(counter.get_total_flops())
    side = 8192 if torch.cuda.is_available() else 1024
    device, dtype = stage.residents.device, stage.residents.dtype
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    one @ other
    return {"value": median_seconds(lambda: one @ other, 5) * (operations[1] - operations[0]) / (2 * side**3)}


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
    side = pixels_per_latent(vae)
    latents = torch.randn(vae.config.latent_channels, job.height // side, job.width // side, device=vae.device)
    colours(latents).cpu()
    return {"value": median_seconds(lambda: colours(latents).cpu(), 20)}


def preview_naive(path: Path) -> Told:
    """The latents decoded by the VAE itself."""
    pipeline = naive_pipeline(path)
    job, vae = job_for(path), pipeline.vae
    side = pixels_per_latent(vae)
    shape = (1, vae.config.latent_channels, job.height // side, job.width // side)
    latents = torch.randn(shape, device=vae.device, dtype=vae.dtype)

    def decode() -> None:
        with torch.no_grad():
            vae.decode(latents).sample.float().cpu()

    decode()
    return {"value": median_seconds(decode, 5)}


def cancel_step_ours(path: Path) -> Told:
    """From the request, in the middle of a step, to the end of the run."""
    stage = Stage.of(path)
    taken = []
    for _ in range(3):
        token, started = CancelToken(), threading.Event()
        outlet = Outlet(partial(_set, started), nothing, nothing)
        run = stage.run(job_for(path, steps=200), token, outlet)
        asked: list[float] = []
        asking = asker(started, token, asked, after=0.3)
        try:
            run.make(Target(index=0, path="/nonexistent/x.png"))
        except Cancelled:
            settle()
            taken.append(time.perf_counter() - asked[0])
        asking.join()
    return {"value": sorted(taken)[len(taken) // 2]}


def _set(event: threading.Event, _: object) -> None:
    event.set()


def cancel_step_naive(path: Path) -> Told:
    """diffusers' own flag: the steps that are left are skipped, and the picture is decoded all the same."""
    pipeline = naive_pipeline(path)
    taken = []
    for _ in range(3):
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
