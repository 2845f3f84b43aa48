"""Measures of drawing with less GPU memory than the model takes, beside what diffusers offers for it."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import diffusers
import torch

from tui.worker.bench.stage import Stage, Told, job_for, naive_call, peak_device_bytes, seconds
from tui.worker.device import choose_device, choose_dtype, default_budget

SIZES: Final = (24, 16, 12, 8, 6)
"""GiB that torch may take of the GPU."""

STEPS: Final = 8
"""Of a picture: some of diffusers' ways take seconds for each."""


def _limit(size: int) -> int:
    """Let torch take no more than `size` GiB; in bytes."""
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(size * 2**30 / total, 1.0))
    return min(size << 30, total)


def ours(size: int, path: Path) -> Told:
    """The second picture of a model, within `size` GiB."""
    limit = _limit(size)
    stage = Stage.unplaced(path, budget=default_budget(choose_device(), limit))
    rungs: list[int] = []
    with tempfile.TemporaryDirectory() as folder:

        def draw() -> None:
            rungs.append(int(stage.draw(job_for(path, steps=STEPS), folder).relief))

        return _second(draw) | {"rung": float(rungs[-1])}


def _second(draw: Callable[[], None]) -> Told:
    taken: list[float] = []
    first = seconds(draw)
    peak = peak_device_bytes(lambda: taken.append(seconds(draw)))
    return {"value": taken[0], "first_seconds": first, "peak_bytes": float(peak)}


def naive(size: int, way: str, path: Path) -> Told:
    """The same with one of diffusers' own ways: "model", "group" or "sequential" offload."""
    _limit(size)
    device = choose_device()
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(
        path, dtype=choose_dtype(device), use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    if way == "group":
        pipeline.enable_group_offload(
            onload_device=device, offload_device=torch.device("cpu"), offload_type="leaf_level", use_stream=True
        )
    else:
        getattr(pipeline, f"enable_{way}_cpu_offload")()
    return _second(lambda: pipeline(**naive_call(job_for(path, steps=STEPS))))


MEASURES: Final[dict[tuple[str, str], Callable[..., Told]]] = {
    (f"budget_{size}", way): (
        partial(ours, size) if way == "ours" else partial(naive, size, "model" if way == "naive" else way)
    )
    for size in SIZES
    for way in ("ours", "naive", "group", "sequential")
}
"""diffusers' own way that most take, offloading whole models, is the naive one."""
