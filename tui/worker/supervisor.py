"""The pipeline supervisor: an actor. Commands come in by a mailbox, each gets one reply, and events go out.

It knows no transport and imports no torch: whatever touches a pipeline is carried out by `DeviceWork` on the device
thread, so this class is the same in a test, in a child process and elsewhere.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tui.protocol.commands import (
    Annotate,
    Autoload,
    Cancel,
    CancelLoad,
    Done,
    EnsureAdapter,
    EnsureControlNet,
    Failed,
    LoadModel,
    PinModel,
    ReleaseControlNet,
    Run,
    SetBudget,
    Shutdown,
    SwapMode,
    UnloadModel,
    WorkerCommand,
)
from tui.protocol.events import ControlNetState, LoadFailed, Warning, WorkerChanged, WorkerEvent, WorkerState
from tui.protocol.frames import Order, payload
from tui.protocol.job import Annotator, Mode
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.cancel import CancelToken
from tui.worker.device import DeviceThread
from tui.worker.lost_device import loss

log = logging.getLogger(__name__)

TRANSITIONS: Final[dict[WorkerState, frozenset[WorkerState]]] = {
    "absent": frozenset({"starting"}),
    "starting": frozenset({"idle", "stopping"}),
    "idle": frozenset({"loading", "running", "stopping"}),
    "loading": frozenset({"idle", "stopping"}),
    "running": frozenset({"idle", "stopping"}),
    "stopping": frozenset(),
}
"""Which state may follow which."""


class DeviceWork(Protocol):
    """What the supervisor has done on the device thread."""

    def load(self, name: str, path: str, token: CancelToken) -> None:
        """Bring a model to the device."""

    def unload(self, name: str, *, keep_pinned: bool) -> None:
        """Free a model, or every one."""

    def pin(self, path: str, *, pinned: bool) -> None:
        """Keep a model on the device, or no longer."""

    def run(self, command: Run, token: CancelToken) -> None:
        """Make the pictures of a job."""

    def swap(self, name: str, path: str, mode: Mode) -> None:
        """Have a mode's pipeline ready."""

    def ensure_controlnet(self, name: str, path: str, token: CancelToken) -> None:
        """Bring a ControlNet to the device."""

    def release_controlnet(self, name: str, path: str) -> None:
        """Nobody wants it any more."""

    def ensure_adapter(self, name: str, path: str, adapter: str) -> None:
        """Load a LoRA beside a model."""

    def annotate(self, image: str, annotator: Annotator) -> str:
        """Make a control image; its path."""

    def set_budget(self, size: int) -> None:
        """Change how many bytes weights may take."""

    def is_lost(self) -> bool:
        """Whether the device answers nothing any more, whatever it is asked."""


class DeviceLost(Exception):
    """The device answers nothing any more; only the end of the process gives it back."""


class Supervisor:
    """Serves one command after another; cancelling is out of band and reaches what runs at once."""

    def __init__(
        self,
        device: DeviceThread,
        open_device: Callable[[], DeviceWork],
        tell: Callable[[WorkerEvent], None],
        explain: Callable[[Exception, str], Problem],
    ) -> None:
        self._device = device
        self._open_device = open_device
        self._tell = tell
        self._explain = explain
        self._mailbox: asyncio.Queue[_Posted] = asyncio.Queue()
        self._open: dict[int, _Posted] = {}
        self._work: DeviceWork | None = None
        self._current: _Posted | None = None
        self._begun = 0.0
        self.state: WorkerState = "absent"

    @property
    def quiet(self) -> float | None:
        """Seconds since the device thread last gave a sign of life; None while there is nothing for it to do."""
        if self._current is None:
            return None
        return time.monotonic() - max(self._begun, self._current.token.checked)

    @property
    def doing(self) -> str:
        """What the device thread has to do, for a sentence."""
        return "starting" if self._current is None else _doing(self._current.order.command)

    async def post(self, order: Order) -> Done | Failed:
        """The one reply to `order`, when it has been carried out."""
        if isinstance(order.command, Cancel | CancelLoad):
            return self._cancel(order)
        posted = _Posted(order, CancelToken(), asyncio.get_running_loop().create_future())
        if isinstance(order.command, EnsureControlNet):
            self._tell(ControlNetState(controlnet=order.command.controlnet, phase="queued"))
        self._open[order.id] = posted
        self._mailbox.put_nowait(posted)
        try:
            return await posted.reply
        finally:
            del self._open[order.id]

    async def run(self) -> None:
        """Open the device, then serve the mailbox until Shutdown.

        Raises:
            DeviceLost: nothing can be served any more.
        """
        self._enter("starting")
        self._work = await self._device.run(self._open_device)
        self._enter("idle")
        while self.state != "stopping":
            posted = await self._mailbox.get()
            self._begun, self._current = time.monotonic(), posted
            answer = await self._answer(posted)
            self._current = None
            if not posted.reply.done():
                posted.reply.set_result(answer)

    def _enter(self, state: WorkerState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"{state} cannot follow {self.state}")
        self.state = state
        self._tell(WorkerChanged(state=state))

    def _cancel(self, order: Order) -> Done | Failed:
        found = [posted for posted in self._open.values() if _is_meant(order.command, posted.order.command)]
        for posted in found:
            posted.token.cancel()
        if found:
            return Done(id=order.id)
        return Failed(id=order.id, problem=Problem(code="not_found", cause="There is nothing to cancel."))

    async def _answer(self, posted: "_Posted") -> Done | Failed:
        """Carry out what was posted. Whatever it raises becomes its reply, and the state a legal one again."""
        order = posted.order
        try:
            result = await self._carry_out(order.command, posted.token)
        except Exception as error:
            if not isinstance(error, LatenttyError):
                log.exception("%s failed", type(order.command).__name__)
                await self._check_device(error, _doing(order.command))
            return Failed(id=order.id, problem=self._explain(error, _doing(order.command)))
        finally:
            if self.state == "running":
                self._enter("idle")
        return Done(id=order.id, result=payload(result))

    async def _check_device(self, error: Exception, doing: str) -> None:
        assert self._work is not None
        if await self._device.run(self._work.is_lost):
            self._tell(Warning(problem=loss(error, doing)))
            raise DeviceLost(str(error))

    async def _carry_out(self, command: WorkerCommand, token: CancelToken) -> object:
        assert self._work is not None
        work, run = self._work, self._device.run
        match command:
            case Run():
                self._enter("running")
                await run(work.run, command, token)
            case LoadModel(model=model, path=path):
                await self._load(model, path, token)
            case Autoload():
                await self._autoload(command, token)
            case UnloadModel(model=model, keep_pinned=keep_pinned):
                await run(work.unload, model, keep_pinned=keep_pinned)
            case PinModel(path=path, pinned=pinned):
                await run(work.pin, path, pinned=pinned)
            case SwapMode(model=model, path=path, mode=mode):
                await run(work.swap, model, path, mode)
            case EnsureControlNet(controlnet=name, path=path):
                await self._ensure_controlnet(name, path, token)
            case ReleaseControlNet(controlnet=name, path=path):
                await run(work.release_controlnet, name, path)
            case EnsureAdapter(model=model, path=path, adapter=adapter):
                await run(work.ensure_adapter, model, path, adapter)
            case Annotate(image=image, annotator=annotator):
                return await run(work.annotate, image, annotator)
            case SetBudget(bytes=size):
                await run(work.set_budget, size)
            case Shutdown():
                self._enter("stopping")
            case Cancel() | CancelLoad():
                raise AssertionError("post answers these at once")
        return None

    async def _load(self, model: str, path: str, token: CancelToken) -> None:
        assert self._work is not None
        self._enter("loading")
        try:
            await self._device.run(self._work.load, model, path, token)
        except Exception as error:
            self._tell(LoadFailed(model=model, problem=self._explain(error, f"loading {model}")))
            raise
        finally:
            self._enter("idle")

    async def _ensure_controlnet(self, name: str, path: str, token: CancelToken) -> None:
        assert self._work is not None
        self._enter("loading")
        try:
            await self._device.run(self._work.ensure_controlnet, name, path, token)
        except Exception as error:
            problem = self._explain(error, f"loading {name}")
            self._tell(ControlNetState(controlnet=name, phase="failed", problem=problem))
            self._tell(LoadFailed(model=name, problem=problem))
            raise
        finally:
            self._enter("idle")

    async def _autoload(self, command: Autoload, token: CancelToken) -> None:
        """Load the model, once more when that fails, then the fallback with a warning."""
        for attempt in (1, 2):
            try:
                return await self._load(command.model, command.path, token)
            except Exception as error:
                problem = self._explain(error, f"loading {command.model}")
                log.warning("autoload of %s, attempt %d: %s", command.model, attempt, problem)
                if problem.code == "cancelled":
                    raise
        if not command.fallback or command.fallback == command.model:
            raise LatenttyError(problem)
        self._tell(Warning(problem=problem, lasting=True))
        return await self._load(command.fallback, command.fallback_path, token)


@dataclass(frozen=True)
class _Posted:
    """An order in the mailbox or being carried out."""

    order: Order
    token: CancelToken
    reply: asyncio.Future[Done | Failed]


def _is_meant(cancel: WorkerCommand, command: WorkerCommand) -> bool:
    match cancel, command:
        case Cancel(job_id=job_id), Run(job=job):
            return job.id == job_id
        case CancelLoad(model=wanted), LoadModel(model=name) | EnsureControlNet(controlnet=name):
            return wanted == name
        case CancelLoad(model=wanted), Autoload(model=model, fallback=fallback):
            return wanted in (model, fallback)
    return False


def _doing(command: WorkerCommand) -> str:
    match command:
        case Run(job=job):
            return f"drawing with {job.model}"
        case LoadModel(model=name) | Autoload(model=name) | EnsureControlNet(controlnet=name):
            return f"loading {name}"
        case Annotate(annotator=annotator):
            return f"making a control image ({annotator})"
        case SwapMode(model=model, mode=mode):
            return f"entering {mode} of {model}"
        case _:
            return type(command).__name__
