"""A worker for engine tests: it draws nothing, and does what the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tui.engine.home import WorkerLost
from tui.protocol.commands import Cancel, Done, Failed, Run, WorkerCommand
from tui.protocol.events import SavedFile, Step, WorkerChanged, WorkerEvent
from tui.protocol.frames import Order, Told, WorkerFrame
from tui.protocol.job import Job
from tui.protocol.problem import Problem


class Script:
    """What happens to jobs, by prompt, and what happened."""

    def __init__(self) -> None:
        self.started = 0
        self.ran: list[str] = []
        self.kill_next = 0
        self.broken = False
        self.mute = False
        """Whether a worker never says that it has started."""
        self.gate: asyncio.Event | None = None
        self.opened: asyncio.Event | None = None
        """Until when a worker is still starting."""
        self.fail: dict[str, Problem] = {}
        self.homes: list[ScriptedHome] = []
        self.orders: list[WorkerCommand] = []
        """What else was asked, in order."""
        self.refuse: dict[type[WorkerCommand], Problem] = {}

    def make_home(self) -> "ScriptedHome":
        home = ScriptedHome(self)
        self.homes.append(home)
        return home


class ScriptedHome:
    """Answers orders as a worker would; files are written empty."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._frames: asyncio.Queue[WorkerFrame | None] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self._cancelled: set[str] = set()
        self._dead = False

    async def start(self) -> None:
        self._script.started += 1
        self._tell(WorkerChanged(state="starting"))
        if self._script.opened is not None:
            await self._script.opened.wait()
        if self._script.broken:
            self.kill()
        elif not self._script.mute:
            self._tell(WorkerChanged(state="idle"))

    async def send(self, order: Order) -> None:
        if self._dead:
            raise WorkerLost("dead")
        match order.command:
            case Run():
                self._running = asyncio.create_task(self._run(order.id, order.command))
            case Cancel(job_id=job_id):
                self._cancelled.add(job_id)
                self._frames.put_nowait(Done(id=order.id))
            case command:
                self._script.orders.append(command)
                problem = self._script.refuse.get(type(command))
                self._frames.put_nowait(Failed(id=order.id, problem=problem) if problem else Done(id=order.id))

    async def frames(self) -> AsyncIterator[WorkerFrame]:
        while (frame := await self._frames.get()) is not None:
            yield frame
        raise WorkerLost("killed by signal 9")

    async def end(self) -> None:
        self.kill()

    def kill(self) -> None:
        if not self._dead:
            self._dead = True
            if self._running is not None:
                self._running.cancel()
            self._frames.put_nowait(None)

    def _tell(self, event: WorkerEvent) -> None:
        self._frames.put_nowait(Told(event=event))

    async def _run(self, number: int, command: Run) -> None:
        job = command.job
        self._script.ran.append(job.prompt)
        for target in command.targets:
            self._tell(Step(job_id=job.id, index=target.index, step=1, steps=1))
            await self._pass(lambda: job.id in self._cancelled)
            if self._script.kill_next:
                self._script.kill_next -= 1
                self.kill()
                return
            if job.id in self._cancelled or job.prompt in self._script.fail:
                self._cancelled.discard(job.id)
                problem = self._script.fail.get(job.prompt, Problem(code="cancelled", cause="It was cancelled."))
                self._frames.put_nowait(Failed(id=number, problem=problem))
                return
            Path(target.path).parent.mkdir(parents=True, exist_ok=True)
            Path(target.path).touch()
            self._tell(saved(job, target.index, target.path))
        self._frames.put_nowait(Done(id=number))

    async def _pass(self, cancelled: Callable[[], bool]) -> None:
        await asyncio.sleep(0)
        while self._script.gate is not None and not self._script.gate.is_set() and not cancelled():
            await asyncio.sleep(0.005)


def saved(job: Job, index: int, path: str) -> SavedFile:
    return SavedFile(job_id=job.id, index=index, path=path, seed=job.seed_of(index), width=job.width, height=job.height)
