"""What is on its way to the terminal follows the line, whatever its speed and length. No time passes: it is counted."""

from collections import deque

import pytest

from tui.terminal.flow import LARGEST, SMALLEST, FencedFlow, SteadyFlow

PICTURE = 1_000_000


class Line:
    """A line of `rate` bytes a second and `trip` seconds there and back, in a time of its own."""

    def __init__(self, rate: float, trip: float) -> None:
        self.rate, self.trip, self.now, self.free_at = rate, trip, 0.0, 0.0
        self.flow = FencedFlow(lambda: self.now)
        self.answers: deque[float] = deque()
        self.worst_wait = 0.0
        self.most = 0

    def write(self, size: int) -> None:
        self.free_at = max(self.free_at, self.now) + size / self.rate
        self.answers.append(self.free_at + self.trip)
        self.worst_wait = max(self.worst_wait, self.free_at - self.now)

    def next_answer(self) -> None:
        self.now = max(self.now, self.answers.popleft())
        assert self.flow.acknowledged()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.answers and self.answers[0] < until:
            self.next_answer()
        self.now = until

    def send(self, total: int) -> float:
        """Seconds that `total` bytes take."""
        begun = self.now
        while total > 0:
            while not self.flow.has_room:
                self.next_answer()
            self.wait(self.flow.pause)
            if self.flow.before():
                self.write(4)
            size = min(self.flow.piece, total)
            self.flow.sent(size)
            self.write(size)
            total -= size
        while self.answers:
            self.next_answer()
        return self.now - begun


@pytest.mark.parametrize("trip", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("rate", [16_000, 125_000, 1_250_000, 12_500_000])
def test_keys_wait_little_and_the_line_is_used(rate: float, trip: float) -> None:
    line = Line(rate, trip)
    took = line.send(PICTURE)
    line.send(PICTURE)
    piece = SMALLEST * (1 if rate < 100_000 else 2) / rate
    assert line.worst_wait <= piece + 0.05 + 0.6 * trip, "no key waits long behind a picture"
    used = 0.4 if rate < 100_000 else 0.7
    assert took <= PICTURE / rate / used + 20 * trip + 0.1, "a picture takes little longer than the line needs"


def test_a_line_that_gets_slower_is_noticed() -> None:
    line = Line(12_500_000, 0.02)
    line.send(PICTURE)
    assert line.flow.window > 200_000
    line.rate = 125_000
    line.send(PICTURE)
    assert line.flow.window < 20_000


def test_a_way_that_seemed_long_is_seen_to_be_short() -> None:
    line = Line(125_000, 0.02)
    line.write(20_000)  # text, which is not counted
    line.flow.before()
    line.write(4)
    line.answers.popleft()
    line.send(PICTURE)
    line.worst_wait = 0.0
    line.send(PICTURE)
    assert line.worst_wait < 0.1


def test_pieces_are_between_a_control_string_and_sixteen_kilobytes() -> None:
    line = Line(1e9, 0.1)
    assert line.flow.piece == SMALLEST
    line.send(PICTURE * 20)
    assert line.flow.piece == LARGEST


async def test_without_answers_a_fixed_rate_holds() -> None:
    now = 0.0
    flow = SteadyFlow(100_000, lambda: now)
    flow.sent(50_000)
    assert flow._free_at == pytest.approx(0.5)
    now = 2.0
    await flow.room()  # the time is up
    flow.sent(1000)
    assert flow._free_at == pytest.approx(2.01)
    assert not flow.acknowledged()
