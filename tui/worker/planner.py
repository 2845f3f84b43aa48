"""What must move so that a job can run: a pure function of what is needed, what is held, and the budget."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A component that must be on the device."""

    key: str
    bytes: int


@dataclass(frozen=True)
class Held:
    """A component that is on the device."""

    key: str
    bytes: int
    used: int
    """When it was last used: a counter, larger is later."""
    reload_seconds: float
    """What bringing it back would cost."""
    wanted: bool = False
    """Someone means to use it soon; it goes last."""


@dataclass(frozen=True)
class Evict:
    """Drop a component from the device; nothing is copied back."""

    key: str


@dataclass(frozen=True)
class Load:
    """Bring a component to the device."""

    key: str


Action = Evict | Load


class DoesNotFit(Exception):
    """What is needed at once is larger than the budget."""

    def __init__(self, needed: int, budget: int) -> None:
        super().__init__(f"{needed} bytes are needed and {budget} may be used")
        self.needed = needed
        self.budget = budget


def plan(needs: Sequence[Need], held: Mapping[str, Held], budget: int) -> list[Action]:
    """The evictions, then the loads, after which every need is on the device and the sum is within `budget` bytes.

    At no point between two actions is the sum above the budget (unless it was before), and nothing that is needed
    is evicted. What goes first is what nobody wants, costs least to bring back for each byte it frees, and has been
    unused for longest (GreedyDual-Size: Cao and Irani 1997).

    Raises:
        DoesNotFit: the needs alone are above the budget.
    """
    wanted = {need.key: need for need in needs}
    needed = sum(need.bytes for need in wanted.values())
    if needed > budget:
        raise DoesNotFit(needed, budget)
    idle = [one for one in held.values() if one.key not in wanted]
    excess = needed + sum(one.bytes for one in idle) - budget
    evicted = _victims(idle, excess)
    return [*(Evict(one.key) for one in evicted), *(Load(key) for key in wanted if key not in held)]


def _victims(idle: Collection[Held], excess: int) -> list[Held]:
    """The entries to drop so that at least `excess` bytes become free, none of them for nothing."""
    chosen: list[Held] = []
    freed = 0
    for one in sorted(idle, key=lambda entry: _worth(entry, idle)):
        if freed >= excess:
            break
        chosen.append(one)
        freed += one.bytes
    for one in sorted(chosen, key=lambda entry: -_worth(entry, idle)[1]):
        if freed - one.bytes >= excess:
            chosen.remove(one)
            freed -= one.bytes
    return chosen


def _worth(entry: Held, among: Iterable[Held]) -> tuple[bool, float]:
    """How much an entry is worth keeping: its reload cost a byte, aged by how many were used after it."""
    younger = sum(other.used > entry.used for other in among)
    return entry.wanted, entry.reload_seconds / max(entry.bytes, 1) / (1 + younger)
