"""Whatever is asked in whatever order, and whatever fails: one reply each, legal states, nothing lost, no overrun."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_job
from tests.worker.test_supervisor import explain
from tui.protocol.commands import (
    Autoload,
    Cancel,
    CancelLoad,
    Done,
    EnsureControlNet,
    Failed,
    LoadModel,
    PinModel,
    ReleaseControlNet,
    Run,
    SetBudget,
    SwapMode,
    Target,
    UnloadModel,
    WorkerCommand,
)
from tui.protocol.events import SavedFile, WorkerChanged, WorkerEvent
from tui.protocol.frames import Order
from tui.protocol.job import Annotator, Mode
from tui.worker.cancel import CancelToken
from tui.worker.device import DeviceThread
from tui.worker.ledger import Ledger
from tui.worker.planner import DoesNotFit, Evict, Need, plan
from tui.worker.supervisor import TRANSITIONS, Supervisor

BYTES = {"a": [5, 2, 1], "b": [5, 2, 1], "c": [7, 3], "too-large": [40], "net": [3], "other-net": [4]}
"""Models and ControlNets, and the sizes of their components."""

MODELS = ["a", "b", "c", "too-large"]
NETS = ["net", "other-net"]


@dataclass
class Weights:
    key: str
    bytes: int
    placed: bool = False
    reload_seconds: float = 1.0


class LedgerWork:
    """Device work with the real ledger and the real planner over weights that are only numbers."""

    def __init__(self, faults: Iterable[bool], tell: object) -> None:
        self._faults = iter(faults)
        self._tell = tell
        self.ledger = Ledger()
        self.budget = 20
        self.weights: dict[str, Weights] = {}
        self._pinned: set[str] = set()
        self._wanted: set[str] = set()

    def load(self, name: str, path: str, token: CancelToken) -> None:
        try:
            self._ensure([name], token)
        except DoesNotFit:
            return  # left for the job, as the real work does

    def unload(self, name: str, *, keep_pinned: bool) -> None:
        for user in [name] if name else BYTES:
            if not (keep_pinned and user in self._pinned):
                for gone in self.ledger.forget(user):
                    self.weights.pop(gone.key).placed = False

    def pin(self, path: str, *, pinned: bool) -> None:
        (self._pinned.add if pinned else self._pinned.discard)(path)
        self.ledger.want(self._pinned | self._wanted)

    def swap(self, name: str, path: str, mode: Mode) -> None:
        self._may_fail()

    def ensure_controlnet(self, name: str, path: str, token: CancelToken) -> None:
        self._ensure([name], token)
        self._wanted.add(name)
        self.ledger.want(self._pinned | self._wanted)

    def release_controlnet(self, name: str, path: str) -> None:
        self._wanted.discard(name)
        self.ledger.want(self._pinned | self._wanted)

    def ensure_adapter(self, name: str, path: str, adapter: str) -> None:
        self._may_fail()

    def annotate(self, image: str, annotator: Annotator) -> str:
        self._may_fail()
        return image

    def is_lost(self) -> bool:
        return False

    def set_budget(self, size: int) -> None:
        self.budget = size or 20
        self._apply(plan([], self.ledger.held(), self.budget))

    def run(self, command: Run, token: CancelToken) -> None:
        for target in command.targets:
            self._ensure([command.job.model, *command.controlnets], token)
            for _ in range(2):  # steps
                token.check()
                self._may_fail()
            self._tell(  # type: ignore[operator]
                SavedFile(job_id=command.job.id, index=target.index, path="", seed=0, width=8, height=8)
            )

    def _ensure(self, users: list[str], token: CancelToken) -> None:
        needed = []
        for user in users:
            for number, size in enumerate(BYTES[user]):
                key = f"{user}/{number}"
                component = self.weights.setdefault(key, Weights(key, size))
                self.ledger.enter(component, user, key)
                needed.append(component)
        self._apply(plan([Need(one.key, one.bytes) for one in needed], self.ledger.held(), self.budget))
        for component in needed:
            token.check()
            self._may_fail()
            component.placed = True
            assert self.ledger.placed_bytes <= self.budget
        self.ledger.use(one.key for one in needed)

    def _apply(self, actions: Iterable[object]) -> None:
        for action in actions:
            if isinstance(action, Evict):
                self.weights[action.key].placed = False

    def _may_fail(self) -> None:
        if next(self._faults, False):
            raise MemoryError("injected")


WAIT = "wait"
"""In a sequence: everything before has its reply before what follows is asked."""


def runs() -> st.SearchStrategy[Run]:
    return st.builds(
        lambda model, count, nets: Run(
            job=make_job(model=model, count=count),
            model_path=model,
            targets=[Target(index=index, path="") for index in range(count)],
            controlnets={net: net for net in nets},
        ),
        st.sampled_from(MODELS),
        st.integers(1, 3),
        st.sets(st.sampled_from(NETS), max_size=2),
    )


def named(kind: type[WorkerCommand], field: str, names: list[str]) -> st.SearchStrategy[WorkerCommand]:
    return st.sampled_from(names).map(lambda name: kind(**{field: name, "path": name}))


COMMANDS = st.one_of(
    runs(),
    runs(),
    named(LoadModel, "model", MODELS),
    named(EnsureControlNet, "controlnet", NETS),
    named(ReleaseControlNet, "controlnet", NETS),
    st.sampled_from(["", *MODELS]).map(lambda name: UnloadModel(model=name, keep_pinned=not name)),
    st.builds(lambda name, on: PinModel(model=name, path=name, pinned=on), st.sampled_from(MODELS), st.booleans()),
    st.sampled_from(MODELS).map(lambda name: SwapMode(model=name, mode="img2img", path=name)),
    st.sampled_from(MODELS).map(lambda name: Autoload(model=name, path=name, fallback="a", fallback_path="a")),
    st.sampled_from([0, 12, 16]).map(lambda size: SetBudget(bytes=size)),
    st.sampled_from(MODELS + NETS).map(lambda name: CancelLoad(model=name)),
    st.integers(0, 9),  # cancel the job that was asked for so many commands ago
    st.just(WAIT),
)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=12), st.lists(st.booleans(), max_size=30))
def test_any_sequence_with_any_failures(sequence: list[object], faults: list[bool]) -> None:
    asyncio.run(play(sequence, faults))


async def play(sequence: list[object], faults: list[bool]) -> None:
    told: list[WorkerEvent] = []
    work = LedgerWork(faults, told.append)
    device = DeviceThread()
    supervisor = Supervisor(device, lambda: work, told.append, explain)
    serving = asyncio.create_task(supervisor.run())
    asked: list[tuple[WorkerCommand, asyncio.Task[Done | Failed]]] = []
    # the first wait is for the device to be open
    for number, command in enumerate([SetBudget(bytes=0), WAIT, *_cancels_resolved(sequence)]):
        if command == WAIT:
            await asyncio.gather(*(reply for _, reply in asked))
            continue
        posting = supervisor.post(Order(id=number, command=command))
        asked.append((command, asyncio.create_task(posting)))
        await asyncio.sleep(0)  # it is in the mailbox before the next one is asked
    replies = await asyncio.wait_for(asyncio.gather(*(reply for _, reply in asked)), 30)

    assert supervisor.state == "idle"
    states = [event.state for event in told if isinstance(event, WorkerChanged)]
    assert all(after in TRANSITIONS[before] for before, after in zip(["absent", *states], states, strict=False))
    assert work.ledger.placed_bytes <= work.budget
    saved = Counter((event.job_id, event.index) for event in told if isinstance(event, SavedFile))
    assert all(times == 1 for times in saved.values()), "no picture twice"
    for (command, _), reply in zip(asked, replies, strict=True):
        if isinstance(reply, Failed):
            assert reply.problem.cause
        elif isinstance(command, Run):
            assert all(saved[command.job.id, target.index] for target in command.targets), (
                "Done means that all are saved"
            )
    serving.cancel()
    device.close()


def _cancels_resolved(sequence: list[object]) -> Iterator[WorkerCommand | str]:
    """A number in `sequence` becomes the Cancel of the job that so many entries before it asked for."""
    for place, entry in enumerate(sequence):
        if not isinstance(entry, int):
            yield entry  # type: ignore[misc]
            continue
        meant = sequence[place - entry - 1] if entry < place else None
        if isinstance(meant, Run):
            yield Cancel(job_id=meant.job.id)
