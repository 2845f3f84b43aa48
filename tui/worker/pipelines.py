"""The device side of the supervisor: every method runs on the device thread."""

import gc
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
from msgspec.structs import replace

from tui.protocol.commands import Run
from tui.protocol.events import (
    ControlNetPhase,
    ControlNetState,
    Loading,
    ModelReady,
    ModeSwapped,
    Residency,
    Step,
    WorkerEvent,
)
from tui.protocol.frames import Preview
from tui.protocol.job import Annotator, Mode
from tui.worker.annotators import annotate
from tui.worker.cancel import CancelToken
from tui.worker.compiling import keep_in
from tui.worker.component import Component
from tui.worker.device import choose_device, choose_dtype, default_budget, device_label, device_memory
from tui.worker.planner import DoesNotFit
from tui.worker.prefetch import Prefetch
from tui.worker.preview import LatentToRgb
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import LoadProgress, Model, Residents
from tui.worker.runner import ControlInput, JobRun, Outlet
from tui.worker.views import view

log = logging.getLogger(__name__)

TELL_EVERY: Final = 0.1
"""Seconds between two events about the progress of a load at least."""


class Pipelines:
    """The models and ControlNets of one device, and the jobs that run on it."""

    def __init__(
        self,
        tell: Callable[[WorkerEvent], None],
        show: Callable[[Preview], None],
        cache: Path,
        model_folders: Sequence[Path],
        *,
        compiling: bool = False,
    ) -> None:
        self._tell = tell
        self._show = show
        self._cache = cache
        self._model_folders = model_folders
        gc.freeze()  # what was imported stays; looking through it takes most of a collection's time
        self._compiling = compiling
        keep_in(cache / "compiled")
        device = choose_device()
        self._residents = Residents(device, choose_dtype(device), default_budget(device), model_folders)
        self._prompts = PromptCache()
        self._prefetch = Prefetch(self._residents.expect)
        self._colours: dict[str, LatentToRgb] = {}
        self._nets: dict[str, tuple[str, ControlNetPhase]] = {}
        """The paths of the ControlNets that were told of, and what was told last, by name."""

    def load(self, name: str, path: str, token: CancelToken) -> None:
        """Bring the model in `path` to the device, unless it is there.

        What is larger than the budget is loaded as far as a job needs it, when a job does.

        Raises:
            LatenttyError: it cannot be loaded, or `token` was cancelled; what was resident before still is usable.
        """
        begun = time.monotonic()
        model = self._residents.model(name, path)
        if all(component.placed for component in model.components.values()):
            return
        try:
            self._residents.ensure(model.components.values(), token, self._progress(name))
            self._fit_colours(model, token)
        except DoesNotFit as error:
            log.info("%s stays on the disk until a job needs it: %s", name, error)
        moved = sum(component.bytes for component in model.components.values())
        self._tell(ModelReady(model=name, seconds=time.monotonic() - begun, bytes=moved))
        self.tell_residency()

    def pin(self, path: str, *, pinned: bool) -> None:
        """Keep the model in `path` on the device, or no longer; it need not be known yet."""
        self._residents.pin(path, pinned=pinned)

    def unload(self, name: str, *, keep_pinned: bool = False) -> None:
        """Free the model `name`, or everything (that is not pinned) when no name is given."""
        if name:
            model = self._residents.find(name)
            if model is not None:
                self._residents.forget(model.path)
        else:
            self._residents.forget_all(keep_pinned=keep_pinned)
            self._colours.clear()
        self._prompts.clear()
        self.tell_residency()

    def swap(self, name: str, path: str, mode: Mode) -> None:
        """Have the pipeline of `mode` ready. Nothing moves; a model that is not known is left for its first job.

        Raises:
            LatenttyError: the family has no such mode; the pipelines there are stay.
        """
        begun = time.perf_counter()
        model = self._residents.find(name)
        if model is None or model.path != path:
            return
        pipeline = view(model, mode)
        self._tell(
            ModeSwapped(
                model=name,
                mode=mode,
                pipeline=type(pipeline).__name__,
                milliseconds=(time.perf_counter() - begun) * 1000,
                bytes_moved=0,
            )
        )

    def ensure_controlnet(self, name: str, path: str, token: CancelToken) -> None:
        """Bring a ControlNet to the device, unless it is there; it is wanted from now on.

        Raises:
            LatenttyError: it cannot be loaded, or `token` was cancelled.
        """
        try:
            component = self._residents.controlnet(path)
            if not component.placed:
                self._tell_controlnet(name, path, "loading")
                self._residents.ensure([component], token, self._progress(name))
            self._tell_controlnet(name, path, "ready")
        except DoesNotFit as error:
            log.info("the ControlNet %s stays on the disk until a job needs it: %s", name, error)
            del self._nets[name]
            self._tell(ControlNetState(controlnet=name, phase="ready"))
        self._residents.want(path)
        self.tell_residency()

    def release_controlnet(self, name: str, path: str) -> None:
        """Nobody wants this ControlNet any more: it goes when the budget asks."""
        self._residents.unwant(path)
        self._tell_controlnet(name, path, "absent")

    def ensure_adapter(self, name: str, path: str, adapter: str) -> None:
        """Load a LoRA beside the model in `path`.

        Raises:
            LatenttyError: it cannot be loaded, or does not fit.
        """
        model = self._residents.model(name, path)
        model.adapters.load(view(model, next(iter(model.family.pipelines))), adapter)

    def annotate(self, image: str, annotator: Annotator) -> str:
        """The path of the control image.

        Raises:
            LatenttyError: it cannot be made.
        """
        return str(annotate(image, annotator, self._cache / "annotated", self._model_folders))

    def set_budget(self, size: int) -> None:
        """Keep weights within `size` bytes from now on; 0 takes what the device has."""
        self._residents.budget = size or default_budget(self._residents.device)
        self._residents.shrink()
        self.tell_residency()

    def run(self, command: Run, token: CancelToken) -> None:
        """Make every picture that `command` lists.

        Raises:
            LatenttyError: one of them failed, or `token` was cancelled.
        """
        job = replace(command.job, compiled=command.job.compiled or self._compiling)
        model = self._residents.model(job.model, command.model_path)
        if job.vae:
            model = self._residents.with_vae(model, Path(job.vae))
        if job.memory.quantise == "int8":
            model = self._residents.in_eight_bits(model)
        if job.text_encoder:
            model = self._residents.with_text_encoder(model, Path(job.text_encoder))
        controls = [
            ControlInput(
                component=self._residents.controlnet(command.controlnets[control.model]),
                image=annotate(control.image, control.annotator, self._cache / "annotated", self._model_folders),
            )
            for control in job.controls
        ]
        token.check()
        tell = self._told_with_nets({one.model: command.controlnets[one.model] for one in job.controls})
        outlet = Outlet(tell, self._show, self._progress(job.model))
        colours = self._fit_colours(model, token)
        run = JobRun(job, model, controls, self._residents, self._prompts, colours, outlet, token)
        self._prefetch.begin(command.ahead)
        try:
            for target in command.targets:
                token.check()
                run.make(target)
        finally:
            self._tell_nets()
        self.tell_residency()

    def is_lost(self) -> bool:
        """Whether the device answers nothing any more: after some errors of CUDA every later call fails too."""
        if self._residents.device.type != "cuda":
            return False
        try:
            torch.cuda.synchronize(self._residents.device)
        except RuntimeError as error:
            log.error("the device is lost: %s", error)
            return True
        return False

    def tell_residency(self) -> None:
        """Tell where weights are and how full the device is."""
        self._tell_nets()
        device = self._residents.device
        used, total = device_memory(device)
        self._tell(
            Residency(
                device=str(device),
                device_name=device_label(device),
                used_bytes=used,
                total_bytes=total,
                components=self._residents.report(),
                budget_bytes=self._residents.budget,
            )
        )

    def _tell_controlnet(self, name: str, path: str, phase: ControlNetPhase) -> None:
        self._nets[name] = path, phase
        self._tell(ControlNetState(controlnet=name, phase=phase))

    def _told_with_nets(self, nets: dict[str, str]) -> Callable[[WorkerEvent], None]:
        """Tells what happens in a job, and of its ControlNets that they load until it takes its first step."""
        loading = {name: path for name, path in nets.items() if not self._residents.controlnet(path).placed}
        for name, path in loading.items():
            self._tell_controlnet(name, path, "loading")

        def tell(event: WorkerEvent) -> None:
            if isinstance(event, Step) and event.step > 0:
                for name in list(loading):
                    self._tell_controlnet(name, loading.pop(name), "ready")
            self._tell(event)

        return tell

    def _tell_nets(self) -> None:
        """Tell which ControlNets have come, and which went for others or never came because their job failed."""
        for name, (path, phase) in list(self._nets.items()):
            now: ControlNetPhase = "ready" if self._residents.holds(path) else "absent"
            if phase in ("loading", "ready") and phase != now:
                self._tell_controlnet(name, path, now)

    def _fit_colours(self, model: Model, token: CancelToken) -> LatentToRgb | None:
        """The preview's map for the model's VAE, fitted once; None for a VAE that only decodes."""
        vae: Component | None = model.components.get("vae")
        if vae is None or not hasattr(vae.module, "encode"):
            return None
        if vae.key not in self._colours:
            self._residents.ensure([vae], token, self._progress(model.name))
            self._colours[vae.key] = LatentToRgb.fit(vae.module)
        return self._colours[vae.key]

    def _progress(self, name: str) -> LoadProgress:
        begun, told = time.monotonic(), 0.0

        def at(component: str, done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= TELL_EVERY or done == total:
                told = now
                self._tell(
                    Loading(
                        model=name,
                        component=component,
                        done_bytes=done,
                        total_bytes=total,
                        rate=done / max(now - begun, 1e-9),
                        reader=self._residents.reader,
                    )
                )

        return at
