"""One job, from its prompt to its saved pictures: progress, preview, cancel."""

import functools
import inspect
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
import transformers
from msgspec.structs import replace
from torch import nn

import tui
from tui.library.metadata import Making
from tui.library.pictures import already_saved, save_picture
from tui.library.schedulers import SCHEDULERS
from tui.protocol.commands import Target
from tui.protocol.events import SavedFile, Step, WorkerEvent
from tui.protocol.frames import Preview
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.worker.cancel import CancelToken
from tui.worker.components import ComponentSet
from tui.worker.preview import LatentToRgb, denoised
from tui.worker.views import fresh_scheduler, view

log = logging.getLogger(__name__)

PREVIEW_EVERY: Final = 0.1
"""Seconds between two preview frames at least."""


class JobRun:
    """The run of one job on one model."""

    def __init__(
        self,
        job: Job,
        components: ComponentSet,
        colours: LatentToRgb,
        token: CancelToken,
        tell: Callable[[WorkerEvent], None],
        show: Callable[[Preview], None],
    ) -> None:
        self._job = job
        self._components = components
        self._colours = colours
        self._token = token
        self._tell = tell
        self._show = show

    def make(self, target: Target) -> None:
        """Make one picture and save it, unless an earlier attempt did.

        Raises:
            LatenttyError: Cancelled, a full disk, a mode that is not the job's.
        """
        path = Path(target.path)
        if not already_saved(path, self._job, target.index):
            if self._job.file_stem and path.exists():
                raise bad_request(f"{path} is there already.", "Choose another name, or move it away.")
            self._draw(target, path)
        self._tell(
            SavedFile(
                job_id=self._job.id,
                index=target.index,
                path=target.path,
                seed=self._job.seed_of(target.index),
                width=self._job.width,
                height=self._job.height,
            )
        )

    def _draw(self, target: Target, path: Path) -> None:
        job, components = self._job, self._components
        seed = job.seed_of(target.index)
        pipeline = view(components, job.mode)
        scheduler = fresh_scheduler(components, _chosen(job.scheduler))
        pipeline.scheduler = scheduler
        _assert_mode(pipeline, components, job)
        with self._watched(scheduler, target.index), interruptible(components.modules.values(), self._token):
            image = pipeline(
                prompt=job.prompt,
                negative_prompt=job.negative_prompt,
                width=job.width,
                height=job.height,
                num_inference_steps=job.steps,
                guidance_scale=job.guidance_scale,
                # on the CPU whatever the device: so a seed means the same on every box
                generator=torch.Generator("cpu").manual_seed(seed),
            ).images[0]
        self._token.check()
        save_picture(image, path, self._making(target.index, pipeline, scheduler))

    def _making(self, index: int, pipeline: Any, scheduler: Any) -> Making:
        return Making(
            version=tui.__version__,
            job=replace(self._job, folder="", file_stem=""),  # where it lay on this box is nobody else's business
            index=index,
            seed=self._job.seed_of(index),
            model_family=self._components.family.id,
            pipeline=type(pipeline).__name__,
            scheduler=_json_safe(dict(scheduler.config)) | {"_class_name": type(scheduler).__name__},
            device=str(self._components.device),
            dtype=str(self._components.dtype).removeprefix("torch."),
            libraries={
                "torch": str(torch.__version__),
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
            },
        )

    @contextmanager
    def _watched(self, scheduler: Any, index: int) -> Iterator[None]:
        """Progress, preview and cancel hang on the one call that every family makes: its scheduler's `step`."""
        take_step = scheduler.step
        signature = inspect.signature(take_step)
        progress = _Progress(self._job.id, index, scheduler)
        last_frame = 0.0

        @functools.wraps(take_step)  # pipelines look at the signature for `eta` and `generator`
        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal last_frame
            self._token.check()
            given = signature.bind(*arguments, **named).arguments
            now = time.monotonic()
            if now - last_frame >= PREVIEW_EVERY:
                last_frame = now
                self._send_preview(scheduler, given, index, progress.done + 1)
            result = take_step(*arguments, **named)
            self._tell(progress.advance(given["timestep"]))
            self._token.check()
            return result

        scheduler.step = step
        self._tell(progress.begin(self._job.steps))
        try:
            yield
        finally:
            del scheduler.step

    def _send_preview(self, scheduler: Any, given: dict[str, Any], index: int, number: int) -> None:
        latents = denoised(scheduler, given["model_output"], given["timestep"], given["sample"])[0]
        rgb = self._colours(latents)
        height, width, _ = rgb.shape
        self._show(
            Preview(
                job_id=self._job.id, index=index, step=number, width=width, height=height, rgb=rgb.numpy().tobytes()
            )
        )


class _Progress:
    """Counts the scheduler's own calls, which some schedulers make twice a step and img2img begins late."""

    def __init__(self, job_id: str, index: int, scheduler: Any) -> None:
        self._job_id = job_id
        self._index = index
        self._scheduler = scheduler
        self._total = 0
        self._begun = 0.0
        self.done = 0

    def begin(self, steps: int) -> Step:
        """Before the first step, while prompts are encoded."""
        return Step(job_id=self._job_id, index=self._index, step=0, steps=steps)

    def advance(self, timestep: Any) -> Step:
        """After one more call for `timestep`."""
        if self.done == 0:
            timesteps = [float(one) for one in self._scheduler.timesteps]
            begun_at = timesteps.index(float(timestep)) if float(timestep) in timesteps else 0
            self._total = len(timesteps) - begun_at
            self._begun = time.monotonic()
        self.done += 1
        # the first step is left out of the average: it warms caches up
        average = (time.monotonic() - self._begun) / (self.done - 1) if self.done > 1 else 0.0
        return Step(
            job_id=self._job_id,
            index=self._index,
            step=self.done,
            steps=max(self._total, self.done),
            step_seconds=average,
        )


@contextmanager
def interruptible(modules: Any, token: CancelToken) -> Iterator[None]:
    """While inside, `token` is looked at before every block of `modules`: a step of a large model takes seconds."""
    blocks = {
        block
        for module in modules
        for part in module.modules()
        if isinstance(part, nn.ModuleList)
        for block in part
        if block is not None
    }
    hooks = [block.register_forward_pre_hook(lambda *_: token.check()) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _chosen(scheduler: str) -> tuple[str, dict[str, Any]]:
    entry = SCHEDULERS[scheduler]
    return entry.class_name, entry.options


def _assert_mode(pipeline: Any, components: ComponentSet, job: Job) -> None:
    """What was asked for is what runs: a wrong class is an error, never a fall-through."""
    wanted = components.family.pipelines[job.mode]
    if type(pipeline).__name__ != wanted:
        raise LatenttyError(
            Problem(
                code="internal",
                cause=f"{type(pipeline).__name__} stood ready for {job.mode}, which needs {wanted}.",
                hint="This is a defect of Latentty; please report it.",
            )
        )


def _json_safe(value: Any) -> Any:
    """`value` with what JSON cannot carry, such as infinities, as text."""
    if isinstance(value, dict):
        return {str(key): _json_safe(one) for key, one in value.items() if not str(key).startswith("_")}
    if isinstance(value, list | tuple):
        return [_json_safe(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return str(value)
