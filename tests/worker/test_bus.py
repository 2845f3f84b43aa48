"""The ways to a GPU, on a CPU with counted stand-ins for CUDA: every byte arrives, once, and as few as can be."""

import contextlib
import ctypes
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from tests.conftest import make_job
from tests.worker.conftest import BUNDLED_PATH, CPU, PLENTY, nothing
from tui.protocol.commands import Target
from tui.worker import bus, cuda_runtime, file_runs, host_tier
from tui.worker.bus import Bus
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.component import Link
from tui.worker.cuda_runtime import windows
from tui.worker.host_tier import HostTier
from tui.worker.prompt_cache import PromptCache
from tui.worker.relief import Relief
from tui.worker.residents import Residents
from tui.worker.runner import JobRun, Outlet
from tui.worker.streaming import Conveyor, staying


class Stream:
    """Does everything at once."""

    cuda_stream = 0

    def __init__(self, *_: object) -> None:
        self.synchronize = self.wait_event = self.wait_stream = nothing


class Event:
    def __init__(self) -> None:
        self.record = self.synchronize = nothing


class Runtime:
    """Registers and copies, and counts; a copy that leaves its registered window is refused, as CUDA does."""

    def __init__(self) -> None:
        self.windows: dict[int, int] = {}
        self.copied = self.copies = 0

    def cudaHostRegister(self, begin: Any, size: Any, _: int) -> int:  # noqa: N802 - CUDA's name
        self.windows[begin.value] = size.value
        return 0

    def cudaHostUnregister(self, begin: Any) -> int:  # noqa: N802
        del self.windows[begin.value]
        return 0

    def cudaGetLastError(self) -> int:  # noqa: N802
        return 0

    def cudaMemcpyAsync(self, target: Any, source: Any, size: Any, _: Any, __: Any) -> int:  # noqa: N802
        end = source.value + size.value
        if not any(begin <= source.value and end <= begin + room for begin, room in self.windows.items()):
            return 1
        ctypes.memmove(target.value, source.value, size.value)
        self.copied += size.value
        self.copies += 1
        return 0


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """CUDA, as far as weights need it."""
    runtime = Runtime()

    class Cuda:
        Stream = globals()["Stream"]
        Event = globals()["Event"]

    empty = torch.empty
    monkeypatch.setattr(bus, "_cuda", Cuda)
    monkeypatch.setattr(cuda_runtime, "_runtime", lambda: runtime)
    monkeypatch.setattr(cuda_runtime, "WINDOW", 1 << 20)
    monkeypatch.setattr(torch, "empty", lambda *a, pin_memory=False, **k: empty(*a, **k))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: Stream())
    return runtime


def linked(budget: int = PLENTY) -> Residents:
    """Residents on a CPU that think they are at the other end of a bus."""
    residents = Residents(CPU, torch.float32, budget)
    residents.link = Link(Bus(CPU), HostTier())
    return residents


def sums(residents: Residents) -> list[float]:
    model = residents.model("m", str(BUNDLED_PATH))
    residents.ensure(model.components.values(), CancelToken(), nothing)
    held = [weight for part in model.components.values() for weight in part.module.parameters()]
    return [float(weight.detach().double().sum()) for weight in held]


def test_every_way_brings_the_same_weights_and_the_second_needs_no_ring(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_tier, "cached_share", lambda _: 0.0)
    residents = linked()
    expected = sums(Residents(CPU, torch.float32, PLENTY))
    assert residents.link is not None
    assert sums(residents) == expected, "halves in the file, cast to what is wanted"
    assert (residents.link.bus.reader, runtime.copied) == ("ring", 0)
    residents.link.host.wait()
    model = residents.model("m", str(BUNDLED_PATH))
    residents.evict(component.key for component in model.components.values())
    assert sums(residents) == expected
    assert residents.link.bus.reader == "registered"
    assert runtime.copied == sum(component.stored_bytes for component in model.components.values())


def test_files_that_the_kernel_has_in_memory_are_registered_at_once_and_come_in_long_runs(runtime: Runtime) -> None:
    residents = linked()
    assert sums(residents) == sums(Residents(CPU, torch.float32, PLENTY))
    assert residents.link is not None
    assert residents.link.bus.reader == "registered"
    model = residents.model("m", str(BUNDLED_PATH))
    assert runtime.copied == sum(component.stored_bytes for component in model.components.values())
    tensors = sum(len(list(component.module.parameters())) for component in model.components.values())
    assert runtime.copies < tensors / 8


def test_what_the_kernel_has_of_a_file_in_its_memory_is_known(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    assert host_tier.cached_share(str(path)) == 1.0


def test_a_load_by_runs_ends_when_it_is_cancelled(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_runs, "RUN", 1 << 20)
    residents, token = linked(), CancelToken()
    model = residents.model("m", str(BUNDLED_PATH))
    total = sum(component.stored_bytes for component in model.components.values())

    def at(_: str, done: int, __: int) -> None:
        if done > total / 2:
            token.cancel()

    with pytest.raises(Cancelled):
        residents.ensure(model.components.values(), token, at)
    assert total / 2 < runtime.copied < total / 2 + (bus.QUEUED + 2 << 20)


@given(
    sizes=st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=20),
    run=st.sampled_from([8, 64, 1 << 20]),
)
def test_runs_hold_every_tensor_once_where_it_lies(sizes: list[tuple[int, bool, bool]], run: int) -> None:
    memory = torch.arange(4096, dtype=torch.uint8) % 251
    sources, places, offset = [], [], 0
    for length, wide, gap in sizes:
        dtype = torch.int32 if wide else torch.uint8
        offset += 8 if gap else 0
        offset += -offset % dtype.itemsize
        sources.append(memory[offset : offset + length * dtype.itemsize].view(dtype))
        places.append(("file", offset))
        offset += length * dtype.itemsize
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_runs, "RUN", run)
        runs = file_runs.runs_of(sources, places)
    found = {
        one.target: one.within(memory[part.begin : part.begin + part.size]) for part in runs for one in part.tensors
    }
    assert sorted(found) == list(range(len(sources)))
    assert all(torch.equal(found[number], source) for number, source in enumerate(sources))
    assert all(part.size <= run or len(part.tensors) == 1 for part in runs)


def test_what_is_streamed_and_what_stays_keep_the_budget_and_the_picture(runtime: Runtime, tmp_path: Path) -> None:
    residents = linked()
    model = residents.model("m", str(BUNDLED_PATH))
    total = sum(component.bytes for component in model.components.values())
    pictures, moved = [], []
    for share in (1.01, 0.4, 0.3):
        residents.budget = int(total * share)
        before = runtime.copied
        run = JobRun(
            make_job(prompt="a fox", width=64, height=64, steps=3, seed=3),
            model,
            [],
            residents,
            PromptCache(),
            None,
            Outlet(nothing, nothing, nothing),
            CancelToken(),
        )
        path = tmp_path / f"{share}.png"
        run.make(Target(index=0, path=str(path)))
        with Image.open(path) as image:
            pictures.append(numpy.asarray(image.convert("RGB")))
        moved.append(runtime.copied - before)
        assert run.relief is (Relief.NONE if share > 1 else Relief.LAYERS_STREAMED)
        residents.evict(component.key for component in model.components.values())
    assert all(numpy.array_equal(pictures[0], one) for one in pictures)
    assert 0 < moved[1] < moved[2], "more room, fewer bytes"


class Recording:
    """A carrier that tells what was asked of it."""

    def __init__(self) -> None:
        self.brought: list[tuple[nn.Module, int]] = []
        self.log: list[tuple[str, nn.Module]] = []

    def bring(self, block: nn.Module, place: int) -> None:
        self.brought.append((block, place))
        self.log.append(("bring", block))

    def await_arrival(self, block: nn.Module, place: int) -> None:
        assert (block, place) in self.brought
        self.log.append(("compute", block))

    def leave(self, block: nn.Module, place: int) -> None:
        self.log.append(("leave", block))


def test_from_the_second_step_on_each_block_is_on_its_way_before_it_is_needed() -> None:
    blocks = [nn.Identity() for _ in range(4)]
    carrier = Recording()
    conveyor = Conveyor(carrier)
    for _ in range(3):
        for block in blocks:
            conveyor.begin(block)
            conveyor.end(block)
    assert len(carrier.brought) == 3 * 4 + 1, "each once a step, and the first of a step that does not come"
    second = carrier.log[3 * 4 :]
    for number, block in enumerate(blocks[1:], 1):
        brought, needed = second.index(("bring", block)), second.index(("compute", block))
        assert second.index(("compute", blocks[number - 1])) < brought < needed
        assert brought < second.index(("leave", blocks[number - 1]))


@given(sizes=st.lists(st.integers(1, 100), max_size=30), room=st.integers(-10, 2000))
def test_what_stays_is_within_the_room_and_all_of_it_when_it_fits(sizes: list[int], room: int) -> None:
    kept = staying(sizes, room)
    assert sum(sizes[number] for number in kept) <= max(room, 0)
    if room >= sum(sizes):
        assert kept == set(range(len(sizes)))


@given(offset=st.integers(0, 1 << 40), size=st.integers(0, 1 << 31))
def test_no_copy_crosses_a_window_and_none_is_left_out(offset: int, size: int) -> None:
    done = 0
    for begin, step in windows(offset, size):
        assert begin == done
        assert (offset + begin) // cuda_runtime.WINDOW == (offset + begin + step - 1) // cuda_runtime.WINDOW
        done += step
    assert done == size
