"""One job, from its prompt to its saved pictures."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from msgspec.structs import replace
from PIL import Image

import tui
from tui.library.adapter_names import adapter_name
from tui.library.metadata import Making
from tui.library.pictures import already_saved, save_picture
from tui.library.prompt.reading import is_plain
from tui.library.schedulers import OWN, SCHEDULERS
from tui.protocol.commands import Target
from tui.protocol.events import JobNote, SavedFile, Step, WorkerEvent
from tui.protocol.frames import Preview
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem, bad_request
from tui.worker.call import call_for
from tui.worker.cancel import CancelToken
from tui.worker.compiling import compiled
from tui.worker.component import Component
from tui.worker.conditioning import Conditioning, replaced, unpacked
from tui.worker.finishing import finished_on_device, without_idle_alpha
from tui.worker.graphs import captured
from tui.worker.inputs import fitted, kept_outside, open_picture
from tui.worker.inversions import read_inversion
from tui.worker.lane import SideLane
from tui.worker.latents import raw_latents
from tui.worker.lost_device import device_watched
from tui.worker.memory import is_out_of_memory, return_memory
from tui.worker.observed import Progress, interruptible, observed
from tui.worker.placement import Placement, tiled
from tui.worker.planner import DoesNotFit
from tui.worker.preview import LatentToRgb, denoised
from tui.worker.prompt_cache import PromptCache
from tui.worker.relief import Relief, asked_for, first_that_fits
from tui.worker.residents import LoadProgress, Model, Residents
from tui.worker.steering import Steering
from tui.worker.views import assert_class, fresh_scheduler, pipeline_class, view

log = logging.getLogger(__name__)

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class ControlInput:
    """A ControlNet of a job and the file of its control image."""

    component: Component
    image: Path


@dataclass(frozen=True)
class Outlet:
    """Where a run tells what happens."""

    tell: Callable[[WorkerEvent], None]
    show: Callable[[Preview], None]
    progress: LoadProgress


class JobRun:
    """The run of one job on one model. It climbs the memory ladder as far as it must, and stays there."""

    def __init__(
        self,
        job: Job,
        model: Model,
        controls: Sequence[ControlInput],
        residents: Residents,
        prompts: PromptCache,
        colours: LatentToRgb | None,
        outlet: Outlet,
        token: CancelToken,
    ) -> None:
        self._job = job
        self._model = model
        self._controls = controls
        self._residents = residents
        self._prompts = prompts
        self._colours = colours
        self._outlet = outlet
        self._token = token
        self._lane = SideLane(residents.device)
        rest = [one for one in model.components.values() if one not in model.text_encoders] + self._nets
        fitting = first_that_fits(model.text_encoders, rest, residents.budget)
        self._relief = max(asked_for(job.memory), fitting)
        self._room = residents.budget if fitting is Relief.LAYERS_STREAMED else 0
        """Bytes of weights that stay while others are streamed: none when memory ran out although they fit."""

    @property
    def relief(self) -> Relief:
        """The rung of the memory ladder that the run is on."""
        return self._relief

    @property
    def _nets(self) -> list[Component]:
        return [control.component for control in self._controls]

    def make(self, target: Target) -> None:
        """Make one picture and save it, unless an earlier attempt did.

        Raises:
            LatenttyError: Cancelled, a full disk, no memory on any rung, a pipeline that is not the job's mode.
        """
        path = Path(target.path)
        if not already_saved(path, self._job, target.index):
            if self._job.file_stem and path.exists():
                raise bad_request(f"{path} is there already.", "Choose another name, or move it away.")
            image, making = self._drawn(target.index)
            self._token.check()
            save_picture(image, path, making)
        self._outlet.tell(
            SavedFile(
                job_id=self._job.id,
                index=target.index,
                path=target.path,
                seed=self._job.seed_of(target.index),
                width=self._job.width,
                height=self._job.height,
            )
        )

    def _drawn(self, index: int) -> tuple[Image.Image, Making]:
        """The picture, from the first rung of the ladder on which memory suffices."""
        if self._relief > asked_for(self._job.memory):
            self._note("its weights are larger than the memory budget")
        while True:
            try:
                return self._draw(index)
            except Exception as error:
                if not isinstance(error, DoesNotFit) and not is_out_of_memory(error):
                    raise
                log.warning("out of memory on rung %s: %s", self._relief.name, error)
            # outside the handler, so that the error and the tensors that its traceback holds are gone
            if self._relief is Relief.LAYERS_STREAMED and not self._room:
                raise LatenttyError(self._nothing_fits())
            if self._relief is Relief.LAYERS_STREAMED:
                self._room = 0
            self._relief = Relief(min(self._relief + 1, Relief.LAYERS_STREAMED))
            self._prompts.clear()
            return_memory()
            self._note("memory ran out")

    def _note(self, why: str) -> None:
        self._tell_note(f"{why}: {self._relief.told}")

    def _tell_note(self, text: str) -> None:
        self._outlet.tell(JobNote(job_id=self._job.id, text=text))

    def _nothing_fits(self) -> Problem:
        weights = sum(component.bytes for component in (*self._model.components.values(), *self._nets)) / GIBIBYTE
        job, budget = self._job, self._residents.budget / GIBIBYTE
        return Problem(
            code="out_of_memory",
            cause=f"Memory ran out at {job.width}×{job.height}, even with weights streamed block by block"
            f" (they take {weights:.1f} GiB, {budget:.1f} GiB are for them).",
            hint=f"Try {_half(job.width)}×{_half(job.height)}, fewer ControlNets, or a smaller model.",
        )

    def _draw(self, index: int) -> tuple[Image.Image, Making]:
        job, model = self._job.picture(index), self._model
        pipeline = view(model, job.mode, self._nets)
        assert_class(pipeline, pipeline_class(model, job.mode, self._nets), job.mode)
        scheduler = fresh_scheduler(model, chosen(job.scheduler))
        images = [fitted(open_picture(str(one.image)), job.width, job.height) for one in self._controls]
        call = call_for(job, model, pipeline, images, job.seed_of(index))
        with self._prepared(job, pipeline, scheduler, index), seeded(job.seed_of(index)):
            drawn = without_idle_alpha(pipeline(**call.arguments).images[0])
        if call.canvas is not None:
            drawn = kept_outside(drawn, call.canvas)
        return drawn, self._making(index, pipeline, scheduler)

    @contextmanager
    def _prepared(self, job: Job, pipeline: Any, scheduler: Any, index: int) -> Iterator[None]:
        """Everything that this run changes on what it shares with others, and its undoing."""
        model = self._model
        progress = Progress(job.id, index, scheduler)
        placement = Placement(
            self._residents, model, self._nets, self._relief, self._room, self._token, self._outlet.progress
        )
        prompt_key = (*(one.key for one in model.text_encoders), *_beside_the_prompt(job))
        parts = [*model.components.values(), *self._nets]
        compiling = job.compiled and self._relief < Relief.LAYERS_STREAMED
        # what is compiled has no place to stop at inside; its steps are short
        modules = [part.module for part in parts if not (compiling and part is model.denoiser)]

        def show(number: int, given: dict[str, Any]) -> None:
            self._send_preview(pipeline, scheduler, given, index, number)

        pipeline.scheduler = scheduler
        self._outlet.tell(progress.begin(job.steps))
        with ExitStack() as undo:
            if job.memory.tile_vae:
                undo.enter_context(tiled(pipeline))
            undo.enter_context(model.adapters.chosen(pipeline, job.adapters))
            conditioning = self._conditioning(job, pipeline)
            if conditioning is not None:
                undo.enter_context(replaced(pipeline, "encode_prompt", conditioning.encode))
            undo.enter_context(placement.around(pipeline, self._prompts, prompt_key))
            undo.enter_context(finished_on_device(pipeline))
            if compiling and model.denoiser is not None:
                undo.enter_context(compiled(model.denoiser, self._tell_note))
            if not job.adapters and self._relief <= Relief.VAE_TILED and model.denoiser is not None:
                undo.enter_context(captured(model.denoiser))
            if conditioning is not None:
                undo.enter_context(self._steered(job, pipeline, scheduler, progress))
            undo.enter_context(interruptible(modules, self._token))
            undo.enter_context(observed(scheduler, progress, self._token, self._tell_step, show))
            undo.enter_context(device_watched())  # before all the others let go of what they hold
            yield
            self._lane.deliver(wait=True)

    def _tell_step(self, step: Step) -> None:
        self._lane.deliver()
        self._outlet.tell(step)

    def _conditioning(self, job: Job, pipeline: Any) -> Conditioning | None:
        if not self._model.family.weighting:
            return None
        return Conditioning(job, pipeline, [read_inversion(one) for one in job.embeddings])

    @contextmanager
    def _steered(self, job: Job, pipeline: Any, scheduler: Any, progress: Progress) -> Iterator[None]:
        """While inside, the denoiser is told what the prompts say in each step, once they are encoded."""
        encode = pipeline.encode_prompt
        with ExitStack() as undo:

            def encode_prompt(*arguments: Any, **named: Any) -> Any:
                pooled = hasattr(pipeline, "text_encoder_2")
                result, plan = unpacked(encode(*arguments, **named), pooled=pooled)
                if plan is not None:
                    steering = Steering(plan, scheduler, progress, job.steps)
                    undo.enter_context(steering.around(pipeline.unet, [net.module for net in self._nets]))
                return result

            undo.enter_context(replaced(pipeline, "encode_prompt", encode_prompt))
            yield

    def _send_preview(self, pipeline: Any, scheduler: Any, given: dict[str, Any], index: int, number: int) -> None:
        if self._colours is None:
            return
        layout, job, colours = self._model.family.latents, self._job, self._colours
        output, timestep, sample = given["model_output"], given["timestep"], given["sample"]

        def compute() -> torch.Tensor:
            clean = denoised(scheduler, output, timestep, sample)
            return colours(raw_latents(layout, clean, pipeline, job.width, job.height))

        def deliver(rgb: torch.Tensor) -> None:
            height, width, _ = rgb.shape
            data = rgb.numpy().tobytes()
            self._outlet.show(Preview(job_id=job.id, index=index, step=number, width=width, height=height, rgb=data))

        self._lane.begin(compute, given, deliver)

    def _making(self, index: int, pipeline: Any, scheduler: Any) -> Making:
        return Making(
            version=tui.__version__,
            job=_without_paths(self._job.picture(index)),
            index=index,
            seed=self._job.seed_of(index),
            model_family=self._model.family.id,
            pipeline=type(pipeline).__name__,
            scheduler=_json_safe(dict(scheduler.config)) | {"_class_name": type(scheduler).__name__},
            device=str(self._residents.device),
            dtype=str(self._residents.dtype).removeprefix("torch."),
            libraries={
                "torch": str(torch.__version__),
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
            },
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While inside, torch's own generators begin at `seed`: some pipelines draw from them beside the one they get."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _beside_the_prompt(job: Job) -> Iterator[object]:
    """What decides how a prompt is encoded, besides the arguments of `encode_prompt`."""
    yield from ((one.path, one.on_text) for one in job.adapters)
    yield from ((one.name, one.path, Path(one.path).stat().st_mtime_ns) for one in job.embeddings)
    prompts = (job.prompt, job.prompt_2, job.negative_prompt, job.negative_prompt_2)
    yield job.clip_skip, 0 if all(is_plain(prompt) for prompt in prompts) else job.steps


def _without_paths(job: Job) -> Job:
    """`job` without the folders of this box, which are nobody else's business; names stay."""
    return replace(
        job,
        model=Path(job.model).name,
        folder="",
        file_stem="",
        image=Path(job.image).name,
        mask=Path(job.mask).name,
        controls=[replace(one, model=Path(one.model).name, image=Path(one.image).name) for one in job.controls],
        adapters=[replace(one, path=adapter_name(Path(one.path))) for one in job.adapters],
        embeddings=[replace(one, path=Path(one.path).name) for one in job.embeddings],
        vae=Path(job.vae).name,
        text_encoder=Path(job.text_encoder).name,
    )


def chosen(scheduler: str) -> tuple[str, dict[str, Any]] | None:
    """The class and the options of a scheduler; None for the model's own."""
    entry = SCHEDULERS[scheduler]
    return None if scheduler == OWN else (entry.class_name, entry.options)


def _half(pixels: int) -> int:
    return max(pixels // 2 // 64 * 64, 64)


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
