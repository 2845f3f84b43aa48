"""A model on the device, in our way and in the naive one, and the clock."""

import gc
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import diffusers
import torch

from tui.library.models import read_model
from tui.protocol.commands import Target
from tui.protocol.job import Job, new_job_id
from tui.worker.cancel import CancelToken
from tui.worker.device import choose_device, choose_dtype, default_budget
from tui.worker.preview import LatentToRgb
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Model, Residents
from tui.worker.runner import JobRun, Outlet

Told = dict[str, float]
"""What a measure found: "value", and what else is worth telling."""

PROMPT = "a fox wearing a crown in the snow"


ENOUGH: Final = 4.0
"""Seconds of one measure after which it is not repeated."""


LOOK_EVERY: Final = 0.005
"""Seconds between two looks at the memory that is used."""


def nothing(*_: object) -> None:
    """A listener that does not care."""


@dataclass
class Stage:
    """Our way: a model, known and on the device."""

    residents: Residents
    model: Model

    @classmethod
    def of(cls, path: Path, budget: int = 0) -> "Stage":
        """The model in `path`, placed; within `budget` bytes, or what the device has."""
        stage = cls.unplaced(path, budget)
        stage.place(stage.model)
        return stage

    @classmethod
    def unplaced(cls, path: Path, budget: int = 0) -> "Stage":
        """The model in `path`, known and not on the device."""
        device = choose_device()
        residents = Residents(device, choose_dtype(device), budget or default_budget(device))
        return cls(residents, residents.model(path.name, str(path)))

    def place(self, model: Model) -> None:
        """Bring `model` to the device."""
        self.residents.ensure(model.components.values(), CancelToken(), nothing)
        settle()

    def run(
        self,
        job: Job,
        token: CancelToken | None = None,
        outlet: Outlet | None = None,
        colours: LatentToRgb | None = None,
    ) -> JobRun:
        """A run of `job`."""
        outlet = outlet or Outlet(nothing, nothing, nothing)
        return JobRun(job, self.model, [], self.residents, PromptCache(), colours, outlet, token or CancelToken())

    def draw(self, job: Job, folder: str, colours: LatentToRgb | None = None) -> JobRun:
        """Draw one picture of `job` into `folder`; the run that did."""
        run = self.run(job, colours=colours)
        run.make(Target(index=0, path=f"{folder}/{job.id}.png"))
        return run


def asker(when: threading.Event, token: CancelToken, asked: list[float], after: float = 0.0) -> threading.Thread:
    """A thread that cancels `token` some seconds `after` `when`, and notes in `asked` when that was."""

    def ask() -> None:
        when.wait()
        time.sleep(after)
        asked.append(time.perf_counter())
        token.cancel()

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def has_gpu() -> Told:
    """Whether torch has one: 1, or 0."""
    return {"value": float(torch.cuda.is_available())}


def job_for(path: Path, **changes: Any) -> Job:
    """A job with the settings that suit the model in `path`."""
    info = read_model(path)
    settings: dict[str, Any] = {
        "id": new_job_id(),
        "model": path.name,
        "prompt": PROMPT,
        "width": info.width,
        "height": info.height,
        "steps": info.steps,
        "guidance_scale": info.guidance_scale,
        "scheduler": info.scheduler,
        "seed": 7,
    }
    return Job(**settings | changes)


def naive_pipeline(path: Path, cls: Any = diffusers.DiffusionPipeline) -> Any:
    """The model as everyone loads it."""
    device = choose_device()
    pipeline = cls.from_pretrained(path, dtype=choose_dtype(device), use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline = pipeline.to(device)
    settle()
    return pipeline


def naive_call(job: Job) -> dict[str, Any]:
    """The arguments of a naive call for `job`."""
    return {
        "prompt": job.prompt,
        "width": job.width,
        "height": job.height,
        "num_inference_steps": job.steps,
        "guidance_scale": job.guidance_scale,
        "generator": torch.Generator("cpu").manual_seed(job.seed),
    }


def settle() -> None:
    """Until the device has done what was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    begun = time.perf_counter()
    work()
    settle()
    return time.perf_counter() - begun


def median_seconds(work: Callable[[], object], times: int, enough: float = ENOUGH) -> float:
    """The median over several times: fewer, and at least one, when they would take longer than `enough` seconds."""
    taken: list[float] = []
    while len(taken) < times and sum(taken) < enough:
        taken.append(seconds(work))
    return median(taken)


class OwnMemory:
    """While inside, looks how much memory is this process's alone: what no file holds, so that no kernel takes it back.

    Pages of mapped files are left out: they are the page cache, which is shared and given up for whoever needs it.
    """

    def __init__(self) -> None:
        self.most = 0
        """Bytes above what there were at the beginning, at most."""
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "OwnMemory":
        self._before = _anonymous_bytes()
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            self.most = max(self.most, _anonymous_bytes() - self._before)


def _anonymous_bytes() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "every Linux since 4.5 tells it"
    return int(found[1]) * 1024


def peak_device_bytes(work: Callable[[], object]) -> int:
    """The most memory that torch takes of the GPU during `work`, with what it has already."""
    torch.cuda.reset_peak_memory_stats()
    work()
    settle()
    return int(torch.cuda.max_memory_allocated())


def forget_cached(path: Path) -> None:
    """Have the kernel let go of what it keeps of the weights below `path`; on a disk in memory it cannot."""
    for file in sorted(path.rglob("*.safetensors")):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def collect() -> None:
    """What a careful script does after it has let go of a pipeline."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
