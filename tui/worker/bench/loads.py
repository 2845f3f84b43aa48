"""Measures of bringing models to the device and changing one for another."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from tui.library.models import read_model
from tui.worker.bench.stage import (
    OwnMemory,
    Stage,
    Told,
    asker,
    collect,
    forget_cached,
    median_seconds,
    naive_pipeline,
    nothing,
    seconds,
    settle,
)
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.views import view

CHUNK = 16 << 20
"""Bytes of one read."""


def load_warm_ours(path: Path) -> Told:
    """A model to the device, its files in the page cache; and once more when it was there before."""
    told = {"again_seconds": _again(path)}
    collect()
    return told | {"value": median_seconds(lambda: Stage.of(path), 5), "bytes_moved": read_model(path).bytes}


def _again(path: Path) -> float:
    """Seconds of a load after an unload."""
    stage = Stage.of(path)  # what is imported and cached once
    taken = []
    for _ in range(3):
        stage.residents.forget(str(path))
        taken.append(seconds(lambda: stage.place(stage.residents.model(path.name, str(path)))))
    return sorted(taken)[1]


def load_warm_naive(path: Path) -> Told:
    """`from_pretrained` and `.to`."""
    naive_pipeline(path)
    return {"value": median_seconds(lambda: naive_pipeline(path), 5), "bytes_moved": read_model(path).bytes}


def load_warm_limit(path: Path) -> Told:
    """On a GPU, the bus: its bytes copied from pinned memory. Else its files read from the page cache by one thread."""
    if torch.cuda.is_available():
        return {"value": _bus_seconds(read_model(path).bytes)}
    list(_read(path))
    return {"value": median_seconds(lambda: list(_read(path)), 5)}


def load_cold_ours(path: Path) -> Told:
    """A model to the device, its files on the disk alone."""
    forget_cached(path)
    return {"value": seconds(lambda: Stage.of(path)), "bytes_moved": read_model(path).bytes}


def load_cold_naive(path: Path) -> Told:
    """`from_pretrained` and `.to`, its files on the disk alone."""
    forget_cached(path)
    return {"value": seconds(lambda: naive_pipeline(path)), "bytes_moved": read_model(path).bytes}


def load_cold_limit(path: Path) -> Told:
    """Its files read from the disk by one thread in large pieces."""
    forget_cached(path)
    return {"value": seconds(lambda: list(_read(path)))}


def _read(path: Path) -> Iterator[int]:
    """Read all weights below `path`; the bytes of each read."""
    room = memoryview(bytearray(CHUNK))
    for file in sorted(path.rglob("*.safetensors")):
        with file.open("rb", buffering=0) as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while size := opened.readinto(room):
                yield size


def _bus_seconds(size: int) -> float:
    """Seconds that `size` bytes take from pinned memory to the GPU."""
    source = torch.empty(256 << 20, dtype=torch.uint8, pin_memory=True)
    target = torch.empty_like(source, device="cuda")

    def copy() -> None:
        for _ in range(4):
            target.copy_(source, non_blocking=True)

    copy()
    return median_seconds(copy, 5) * size / (4 * source.nbytes)


def cancel_load_ours(path: Path) -> Told:
    """From the request, halfway through the bytes of a load, to its end."""
    Stage.of(path)
    collect()
    taken = []
    for _ in range(3):
        token, asked = CancelToken(), list[float]()
        stage = Stage.unplaced(path)
        halfway = threading.Event()

        def at(_: str, done: int, total: int, halfway: threading.Event = halfway) -> None:
            if done > total / 2:
                halfway.set()

        asking = asker(halfway, token, asked)
        try:
            stage.residents.ensure(stage.model.components.values(), token, at)
        except Cancelled:
            settle()
        ended = time.perf_counter()
        halfway.set()
        asking.join()
        taken.append(max(ended - asked[0], 0.0))  # a load may end before the request
        del stage
    return {"value": sorted(taken)[len(taken) // 2]}


def cancel_load_naive(path: Path) -> Told:
    """Nothing stops `from_pretrained` and `.to`: what is left at half the time they take."""
    naive_pipeline(path)
    return {"value": median_seconds(lambda: naive_pipeline(path), 3) / 2}


def model_swap_disk_ours(path: Path, other: Path) -> Told:
    """To another model and back, with a budget for one: from the mapped files, nothing copied back."""
    with OwnMemory() as own:
        stage = _for_one_of(path, other)
        models = [stage.model, stage.residents.model(other.name, str(other))]

        def swap() -> None:
            for model in models:
                stage.place(model)

        stage.place(models[1])
        value = seconds(swap) / 2
    return {"value": value, "peak_bytes": own.most}


def _for_one_of(path: Path, other: Path) -> Stage:
    """The model in `path` on the device, with room for one of the two."""
    largest = 0
    for one in (path, other):
        stage = Stage.unplaced(one)
        largest = max(largest, sum(component.bytes for component in stage.model.components.values()))
        del stage
    return Stage.of(path, budget=largest * 11 // 10)


def model_swap_disk_naive(path: Path, other: Path) -> Told:
    """Delete, collect, load the other model."""
    with OwnMemory() as own:
        holder = [naive_pipeline(path)]

        def swap() -> None:
            for one in (other, path):
                holder.clear()
                collect()
                holder.append(naive_pipeline(one))

        value = seconds(swap) / 2
    return {"value": value, "peak_bytes": own.most}


def model_swap_host_ours(path: Path, other: Path) -> Told:
    """As the swap from the disk, once both models are in the host tier."""
    stage = _for_one_of(path, other)
    models = [stage.model, stage.residents.model(other.name, str(other))]
    stage.place(models[1])

    def swap() -> None:
        for model in models:
            stage.place(model)

    if stage.residents.link is not None:
        stage.residents.link.host.wait()
    swap()
    moved = sum(component.bytes for component in stage.model.components.values())
    value = median_seconds(swap, 5) / 2
    return {"value": value, "bytes_moved": moved}


def model_swap_host_naive(path: Path, other: Path) -> Told:
    """Two pipelines in RAM, one moved to the GPU and the other off it with `.to`."""
    pipelines = [naive_pipeline(path), naive_pipeline(other).to("cpu")]
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def swap() -> None:
        for going, coming in (pipelines, pipelines[::-1]):
            going.to("cpu")
            coming.to(device)

    swap()
    return {"value": median_seconds(swap, 5) / 2}


def model_swap_host_limit(path: Path, other: Path) -> Told:
    """The bus: the bytes of one model from pinned memory."""
    return {"value": _bus_seconds(read_model(path).bytes)}


def model_swap_resident_ours(path: Path, other: Path) -> Told:
    """To another model that is on the device too, and back: its pipeline is found and nothing moves."""
    stage = Stage.of(path)
    models = [stage.model, stage.residents.model(other.name, str(other))]
    stage.place(models[1])

    def swap() -> None:
        for model in models:
            known = stage.residents.model(model.name, model.path)
            stage.residents.ensure(known.components.values(), CancelToken(), nothing)
            view(known, "txt2img")

    swap()
    return {"value": median_seconds(swap, 50) / 2, "bytes_moved": 0}
