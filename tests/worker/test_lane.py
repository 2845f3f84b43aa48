"""The lane beside the picture's own: what is late is left out, and nothing is handed over before it is done."""

import contextlib
from collections.abc import Iterator

import pytest
import torch

from tests.worker.conftest import nothing
from tui.worker import lane
from tui.worker.lane import SideLane


class Event:
    """Happens when the test says so."""

    done = False

    def __init__(self) -> None:
        self.record = nothing

    def query(self) -> bool:
        return Event.done

    def synchronize(self) -> None:
        Event.done = True


class Cuda:
    """The stream's side of CUDA."""

    Event = Event

    class Stream:
        def __init__(self, *_: object) -> None:
            self.wait_stream = nothing


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that does what these tests say."""
    empty = torch.empty
    monkeypatch.setattr(lane, "_cuda", Cuda)
    monkeypatch.setattr(torch, "empty", lambda *a, pin_memory=False, **k: empty(*a, **k))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", nothing)
    lane._stream_of.cache_clear()
    yield
    lane._stream_of.cache_clear()


def test_lanes_share_one_stream_for_each_keeps_memory(cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    stream = Cuda.Stream
    monkeypatch.setattr(Cuda, "Stream", lambda device: made.append(device) or stream(device))
    for _ in range(3):
        SideLane(torch.device("cuda")).begin(lambda: torch.ones(1), None, nothing)
    assert len(made) == 1


def test_a_frame_that_is_late_is_waited_for_by_nobody(cuda: None) -> None:
    shown: list[int] = []
    side = SideLane(torch.device("cuda"))

    def begin(number: int) -> None:
        side.begin(lambda: torch.tensor([number]), None, lambda found: shown.append(int(found[0])))

    begin(1)
    begin(2)
    assert (shown, side.left_out) == ([], 1)
    Event.done = True
    side.deliver()
    assert shown == [1]
    Event.done = False
    begin(3)
    side.deliver()
    assert shown == [1]
    side.deliver(wait=True)
    assert shown == [1, 3]


def test_on_a_cpu_it_is_done_at_once() -> None:
    shown: list[torch.Tensor] = []
    SideLane(torch.device("cpu")).begin(lambda: torch.ones(1), None, shown.append)
    assert shown == [torch.ones(1)]
