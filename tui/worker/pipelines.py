"""The device side of the supervisor: every method runs on the device thread."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tui.protocol.commands import Run
from tui.protocol.events import Loading, ModelReady, Residency, ResidentComponent, WorkerEvent
from tui.protocol.frames import Preview
from tui.worker.cancel import CancelToken
from tui.worker.components import ComponentSet, load_components
from tui.worker.device import choose_device, device_label, device_memory
from tui.worker.memory import return_memory
from tui.worker.preview import LatentToRgb
from tui.worker.runner import JobRun

log = logging.getLogger(__name__)

TELL_EVERY: Final = 0.1
"""Seconds between two events about the progress of a load at least."""


class Pipelines:
    """The model that lies on the device, and the jobs that run on it."""

    def __init__(self, tell: Callable[[WorkerEvent], None], show: Callable[[Preview], None]) -> None:
        self._tell = tell
        self._show = show
        self._device = choose_device()
        self._components: ComponentSet | None = None
        self._colours: LatentToRgb | None = None

    def load(self, model: str, path: str, token: CancelToken) -> None:
        """Bring the model in `path` to the device, unless it is there; the one before it leaves first.

        Raises:
            LatenttyError: it cannot be loaded, or `token` was cancelled; then what was resident still is.
        """
        if self._components is not None and self._components.path == path:
            return
        begun = time.monotonic()
        progress = _LoadProgress(model, self._tell)
        loaded = load_components(model, Path(path), self._device, token, progress.at)
        colours = LatentToRgb.fit(loaded.parts["vae"])
        token.check()
        self._components, self._colours = loaded, colours
        return_memory()
        self._tell(ModelReady(model=model, seconds=time.monotonic() - begun, bytes=sum(loaded.bytes.values())))
        self.tell_residency()

    def unload(self, model: str) -> None:
        """Free `model`, or whatever is resident when no name is given."""
        if self._components is not None and model in ("", self._components.model):
            self._components = self._colours = None
            return_memory()
        self.tell_residency()

    def run(self, command: Run, token: CancelToken) -> None:
        """Make every picture that `command` lists.

        Raises:
            LatenttyError: one of them failed, or `token` was cancelled.
        """
        self.load(command.job.model, command.model_path, token)
        assert self._components is not None
        assert self._colours is not None
        run = JobRun(command.job, self._components, self._colours, token, self._tell, self._show)
        for target in command.targets:
            token.check()
            run.make(target)
        self.tell_residency()

    def tell_residency(self) -> None:
        """Tell where weights are and how full the device is."""
        used, total = device_memory(self._device)
        self._tell(
            Residency(
                device=str(self._device),
                device_name=device_label(self._device),
                used_bytes=used,
                total_bytes=total,
                components=self._resident(),
            )
        )

    def _resident(self) -> list[ResidentComponent]:
        if self._components is None:
            return []
        model = self._components.model
        return [
            ResidentComponent(model=model, name=name, bytes=size, device=str(self._device))
            for name, size in self._components.bytes.items()
        ]


class _LoadProgress:
    """A load's progress, told now and then."""

    def __init__(self, model: str, tell: Callable[[WorkerEvent], None]) -> None:
        self._model = model
        self._tell = tell
        self._told = 0.0

    def at(self, component: str, done: int, total: int) -> None:
        """`done` of `total` bytes are on the device, and `component` is on its way."""
        now = time.monotonic()
        if now - self._told >= TELL_EVERY or done == total:
            self._told = now
            self._tell(Loading(model=self._model, component=component, done_bytes=done, total_bytes=total))
