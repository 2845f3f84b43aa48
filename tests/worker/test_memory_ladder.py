"""When memory runs out, each rung of the ladder is taken in order and told, and the picture still arrives."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from tests.conftest import make_job
from tests.worker.conftest import BUNDLED_PATH, CPU, Recorded, nothing
from tui.protocol.commands import Target
from tui.protocol.events import JobNote
from tui.protocol.job import Job, MemoryOptions
from tui.protocol.problem import LatenttyError
from tui.worker.cancel import CancelToken
from tui.worker.component import Component
from tui.worker.memory import is_out_of_memory
from tui.worker.prompt_cache import PromptCache
from tui.worker.relief import Relief
from tui.worker.residents import Model, Residents
from tui.worker.runner import JobRun, Outlet

PLENTY = 8 << 30


class Bench:
    """A model with a budget of its own, and runs on it."""

    def __init__(self, recorded: Recorded, budget: int = PLENTY) -> None:
        self.recorded = recorded
        self.residents = Residents(CPU, torch.float32, budget)
        self.model = self.residents.model("emoji-tiny", str(BUNDLED_PATH))
        self.highest = 0

    def run(self, job: Job) -> JobRun:
        outlet = Outlet(self.recorded.events.append, nothing, nothing)
        return JobRun(job, self.model, [], self.residents, PromptCache(), None, outlet, CancelToken())

    def draw(self, job: Job, folder: Path) -> tuple[numpy.ndarray, JobRun]:
        run = self.run(job)
        path = folder / f"{job.id}.png"
        run.make(Target(index=0, path=str(path)))
        with Image.open(path) as image:
            return numpy.asarray(image.convert("RGB")), run

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.recorded.events if isinstance(event, JobNote)]


@pytest.fixture
def watch_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], None]:
    """Have a bench record the most bytes of weights that were ever on its device at once."""

    def watch(bench: Bench) -> None:
        components = list(bench.model.components.values())

        def measure(*_: object) -> None:
            bench.highest = max(bench.highest, sum(real_bytes(component) for component in components))

        for component in components:
            for module in component.module.modules():
                module.register_forward_pre_hook(measure)

    return watch


def real_bytes(component: Component) -> int:
    """What the weights of a component take now: a dropped tensor is one element that is shown many times."""
    return sum(weight.tensor.untyped_storage().nbytes() for weight in component._weights)


JOB = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2, "seed": 3}


@pytest.fixture
def expected(recorded: Recorded, tmp_path: Path) -> numpy.ndarray:
    return Bench(Recorded()).draw(make_job(**JOB), tmp_path)[0]


@pytest.mark.parametrize(
    ("share", "relief"),
    [
        (1.01, Relief.NONE),
        (0.95, Relief.TEXT_ENCODERS_DROPPED),
        (0.75, Relief.COMPONENTS_OFFLOADED),
        (0.40, Relief.LAYERS_STREAMED),
    ],
)
def test_a_budget_is_kept_whatever_it_takes_and_the_picture_is_the_same(
    recorded: Recorded,
    tmp_path: Path,
    expected: numpy.ndarray,
    watch_memory: Callable[[Bench], None],
    share: float,
    relief: Relief,
) -> None:
    bench = Bench(recorded)
    total = sum(component.bytes for component in bench.model.components.values())
    bench.residents.budget = int(total * share)
    watch_memory(bench)
    drawn, run = bench.draw(make_job(**JOB), tmp_path)
    assert numpy.array_equal(drawn, expected)
    assert run._relief is relief
    assert bench.highest <= bench.residents.budget + 4096
    assert len(bench.notes) == (relief is not Relief.NONE)


def out_of_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


@pytest.mark.parametrize("failures", range(6))
def test_each_rung_is_taken_in_order_and_told(
    recorded: Recorded, tmp_path: Path, expected: numpy.ndarray, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    bench = Bench(recorded)
    tried: list[Relief] = []
    real = JobRun._draw

    def fail_first(self: JobRun, index: int) -> object:
        tried.append(self._relief)
        if len(tried) <= failures:
            raise out_of_memory()
        return real(self, index)

    monkeypatch.setattr(JobRun, "_draw", fail_first)
    drawn, _ = bench.draw(make_job(**JOB), tmp_path)
    assert tried == list(Relief)[: failures + 1]
    assert [note.split(": ")[1] for note in bench.notes] == [rung.told for rung in tried[1:]]
    if Relief.VAE_TILED not in tried:
        assert numpy.array_equal(drawn, expected)
    assert drawn.shape == expected.shape


def test_after_the_last_rung_the_job_fails_with_advice_and_the_next_one_runs(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(recorded)
    with monkeypatch.context() as patch:
        patch.setattr(JobRun, "_draw", lambda *_: (_ for _ in ()).throw(out_of_memory()))
        with pytest.raises(LatenttyError) as caught:
            bench.draw(make_job(width=512, height=512), tmp_path)
    assert caught.value.problem.code == "out_of_memory"
    assert "256×256" in caught.value.problem.hint
    assert len(bench.notes) == 5
    bench.draw(make_job(), tmp_path)


def test_memory_runs_out_in_the_middle_of_a_step(
    recorded: Recorded, tmp_path: Path, expected: numpy.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only at the door: the half-done run must leave nothing behind."""
    bench = Bench(recorded)
    unet = bench.model.components["unet"].module
    calls: Iterator[int] = iter(range(100))

    def fail_once(*_: object) -> None:
        if next(calls) == 1:
            raise out_of_memory()

    hook = unet.register_forward_pre_hook(fail_once)
    drawn, run = bench.draw(make_job(**JOB), tmp_path)
    hook.remove()
    assert run._relief is Relief.IDLE_DROPPED
    assert numpy.array_equal(drawn, expected)


@pytest.mark.parametrize(
    "memory",
    [
        MemoryOptions(drop_text_encoders=True),
        MemoryOptions(offload="components"),
        MemoryOptions(offload="layers"),
        MemoryOptions(tile_vae=True),
    ],
)
def test_a_job_may_ask_for_it_and_the_next_job_has_nothing_of_it(
    recorded: Recorded, tmp_path: Path, expected: numpy.ndarray, memory: MemoryOptions
) -> None:
    bench = Bench(recorded)
    vae = bench.model.components["vae"].module
    drawn, _ = bench.draw(make_job(**JOB, memory=memory), tmp_path)
    assert numpy.array_equal(drawn, expected), "tiles larger than the picture change nothing either"
    assert not vae.use_tiling
    after, run = bench.draw(make_job(**JOB), tmp_path)
    assert run._relief is Relief.NONE
    assert numpy.array_equal(after, expected)


def test_a_dropped_component_refuses_to_compute(recorded: Recorded) -> None:
    """Garbage must never be drawn in silence."""
    unet = Bench(recorded).model.components["unet"].module
    with pytest.raises(RuntimeError, match="not on the device"):
        unet(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 77, 192))


def test_idle_models_are_the_first_to_go(recorded: Recorded, tmp_path: Path, model_copy: Path) -> None:
    bench = Bench(recorded)
    other = bench.residents.model("other", str(model_copy))
    own = other_components(other, bench.model)
    assert own == [], "a copy shares every component"
    scheduler = (model_copy / "unet" / "config.json").read_text()
    (model_copy / "unet" / "config.json").write_text(scheduler + "\n")
    other = bench.residents.model("other", str(model_copy))
    bench.residents.ensure(other.components.values(), CancelToken(), nothing)
    (idle,) = other_components(other, bench.model)
    assert idle.placed
    run = bench.run(make_job())
    run._relief = Relief.IDLE_DROPPED
    run.make(Target(index=0, path=str(tmp_path / "x.png")))
    assert not idle.placed


def other_components(model: Model, than: Model) -> list[Component]:
    theirs = {id(component) for component in than.components.values()}
    return [component for component in model.components.values() if id(component) not in theirs]


def test_a_host_without_memory_is_told_from_other_failures() -> None:
    """The words are the allocator's own, for an amount that no host has."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 56)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(OSError(12, "Cannot allocate memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(ValueError("the file says: can't allocate memory"))
