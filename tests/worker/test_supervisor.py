"""The actor: one reply for every command, legal states only, and always ready for the next message."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from tests.conftest import make_job
from tui.protocol.commands import (
    Autoload,
    Cancel,
    CancelLoad,
    Done,
    Failed,
    LoadModel,
    Run,
    UnloadModel,
    WorkerCommand,
)
from tui.protocol.events import LoadFailed, Warning, WorkerChanged, WorkerEvent
from tui.protocol.frames import Order
from tui.protocol.job import Annotator, Mode
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.cancel import CancelToken
from tui.worker.device import DeviceThread
from tui.worker.supervisor import TRANSITIONS, Supervisor


class FakeWork:
    """Device work that does what its job or model is called."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.begun = threading.Event()
        self.threads: set[str] = set()

    def load(self, name: str, path: str, token: CancelToken) -> None:
        self._do(f"load {name}", token)

    def unload(self, name: str, *, keep_pinned: bool) -> None:
        self._do(f"unload {name}", CancelToken())

    def swap(self, name: str, path: str, mode: Mode) -> None:
        self._do(f"swap {name} {mode}", CancelToken())

    def ensure_controlnet(self, name: str, path: str, token: CancelToken) -> None:
        self._do(f"ensure {name}", token)

    def release_controlnet(self, name: str, path: str) -> None:
        self._do(f"release {name}", CancelToken())

    def ensure_adapter(self, name: str, path: str, adapter: str) -> None:
        self._do(f"adapter {adapter}", CancelToken())

    def annotate(self, image: str, annotator: Annotator) -> str:
        self._do(f"annotate {image}", CancelToken())
        return f"/made/{image}"

    def set_budget(self, size: int) -> None:
        self._do(f"budget {size}", CancelToken())

    def is_lost(self) -> bool:
        return "lost" in self.done[-1]

    def run(self, command: Run, token: CancelToken) -> None:
        self._do(f"run {command.job.prompt}", token)

    def _do(self, what: str, token: CancelToken) -> None:
        self.threads.add(threading.current_thread().name)
        self.done.append(what)
        self.begun.set()
        token.check()
        if "slow" in what:
            assert token._event.wait(5)
            token.check()
        if "bad" in what:
            raise ValueError(what)


class Acting:
    """A supervisor at work."""

    def __init__(self) -> None:
        self.work = FakeWork()
        self.told: list[WorkerEvent] = []
        self.supervisor = Supervisor(DeviceThread(), lambda: self.work, self.told.append, explain)
        self._last = 0

    async def ask(self, command: WorkerCommand) -> Done | Failed:
        self._last += 1
        number = self._last
        reply = await asyncio.wait_for(self.supervisor.post(Order(id=number, command=command)), 10)
        assert reply.id == number
        return reply

    @property
    def states(self) -> list[str]:
        return [event.state for event in self.told if isinstance(event, WorkerChanged)]


def explain(error: Exception, doing: str) -> Problem:
    if isinstance(error, LatenttyError):
        return error.problem
    return Problem(code="internal", cause=f"{error} while {doing}")


@pytest.fixture
async def acting() -> AsyncIterator[Acting]:
    acting = Acting()
    serving = asyncio.create_task(acting.supervisor.run())
    yield acting
    serving.cancel()


def run(prompt: str) -> Run:
    return Run(job=make_job(prompt=prompt), model_path="/m", targets=[])


async def test_commands_are_carried_out_in_order_and_none_is_dropped(acting: Acting) -> None:
    """A peer's mailbox kept only the last message."""
    commands = [LoadModel(model="a"), run("1"), run("2"), UnloadModel(model="a")]
    replies = await asyncio.gather(*(acting.ask(command) for command in commands))
    assert all(isinstance(reply, Done) for reply in replies)
    assert acting.work.done == ["load a", "run 1", "run 2", "unload a"]
    assert acting.states == ["starting", "idle", "loading", "idle", "running", "idle", "running", "idle"]
    assert len(acting.work.threads) == 1


async def test_a_failure_is_its_own_commands_and_the_next_one_is_served(acting: Acting) -> None:
    for command in (run("bad"), LoadModel(model="bad"), UnloadModel(model="bad")):
        reply = await acting.ask(command)
        assert isinstance(reply, Failed)
        assert "bad" in reply.problem.cause
        assert acting.supervisor.state == "idle"
    assert isinstance(await acting.ask(run("good")), Done)


async def test_cancel_reaches_a_running_job_at_once_and_only_that_one(acting: Acting) -> None:
    slow, after = run("slow"), run("after")
    running, following = asyncio.create_task(acting.ask(slow)), asyncio.create_task(acting.ask(after))
    await asyncio.to_thread(acting.work.begun.wait, 5)
    assert isinstance(await acting.ask(Cancel(job_id=slow.job.id)), Done)
    reply = await running
    assert isinstance(reply, Failed)
    assert reply.problem.code == "cancelled"
    assert isinstance(await following, Done)
    assert isinstance(await acting.ask(Cancel(job_id=after.job.id)), Failed)


async def test_cancel_reaches_a_job_that_is_still_in_the_mailbox(acting: Acting) -> None:
    slow, waiting = run("slow"), run("waiting")
    first, second = asyncio.create_task(acting.ask(slow)), asyncio.create_task(acting.ask(waiting))
    await asyncio.to_thread(acting.work.begun.wait, 5)
    await acting.ask(Cancel(job_id=waiting.job.id))
    await acting.ask(Cancel(job_id=slow.job.id))
    for reply in (await first, await second):
        assert isinstance(reply, Failed)
        assert reply.problem.code == "cancelled"


async def test_cancel_reaches_a_load(acting: Acting) -> None:
    loading = asyncio.create_task(acting.ask(LoadModel(model="slow")))
    await asyncio.to_thread(acting.work.begun.wait, 5)
    await acting.ask(CancelLoad(model="slow"))
    reply = await loading
    assert isinstance(reply, Failed)
    assert [event.problem.code for event in acting.told if isinstance(event, LoadFailed)] == ["cancelled"]


async def test_autoload_tries_twice_then_falls_back_with_a_warning(acting: Acting) -> None:
    reply = await acting.ask(Autoload(model="bad", path="/b", fallback="good", fallback_path="/g"))
    assert isinstance(reply, Done)
    assert acting.work.done == ["load bad", "load bad", "load good"]
    assert len([event for event in acting.told if isinstance(event, Warning)]) == 1


async def test_autoload_without_another_fallback_fails_with_the_cause(acting: Acting) -> None:
    reply = await acting.ask(Autoload(model="bad", path="/b", fallback="bad", fallback_path="/b"))
    assert isinstance(reply, Failed)
    assert acting.work.done == ["load bad", "load bad"]


async def test_a_cancelled_autoload_is_neither_retried_nor_replaced(acting: Acting) -> None:
    loading = asyncio.create_task(acting.ask(Autoload(model="slow", path="/s", fallback="good", fallback_path="/g")))
    await asyncio.to_thread(acting.work.begun.wait, 5)
    await acting.ask(CancelLoad(model="slow"))
    assert isinstance(await loading, Failed)
    assert acting.work.done == ["load slow"]


def test_every_state_has_a_way_out_but_the_last() -> None:
    reachable, frontier = {"absent"}, ["absent"]
    while frontier:
        for state in TRANSITIONS[frontier.pop()] - reachable:
            reachable.add(state)
            frontier.append(state)
    assert reachable == set(TRANSITIONS)
    assert [state for state, following in TRANSITIONS.items() if not following] == ["stopping"]
