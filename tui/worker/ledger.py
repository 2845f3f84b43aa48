"""Which components are known, which lie on the device, and what they cost: data, and no torch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tui.worker.planner import Held


class Weighed(Protocol):
    """What the ledger must know of a component."""

    @property
    def key(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def placed(self) -> bool: ...
    @property
    def reload_seconds(self) -> float: ...


@dataclass
class Entry:
    """One known component."""

    component: Weighed
    used: int = 0
    """When it was last used: the ledger's own clock."""
    users: dict[str, str] = field(default_factory=dict)
    """The models (and ControlNets) that it belongs to, and what each calls it."""


class Ledger:
    """The entries by key."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._clock = 0
        self._wanted: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def enter(self, component: Weighed, user: str, name: str) -> None:
        """`user` has `component` under `name`."""
        entry = self._entries.setdefault(component.key, Entry(component))
        entry.users[user] = name

    def forget(self, user: str) -> list[Weighed]:
        """`user` needs its components no more; those that nobody else has are gone from the ledger."""
        gone = []
        for key, entry in list(self._entries.items()):
            entry.users.pop(user, None)
            if not entry.users:
                gone.append(entry.component)
                del self._entries[key]
        return gone

    def use(self, keys: Iterable[str]) -> None:
        """These are used now."""
        self._clock += 1
        for key in keys:
            self._entries[key].used = self._clock

    def want(self, users: Iterable[str]) -> None:
        """What these models and ControlNets have, and nothing else, is meant to be used soon."""
        self._wanted = frozenset(users)

    def held(self) -> dict[str, Held]:
        """What lies on the device, as the planner wants it."""
        return {
            key: Held(
                key=key,
                bytes=entry.component.bytes,
                used=entry.used,
                reload_seconds=entry.component.reload_seconds,
                wanted=not self._wanted.isdisjoint(entry.users),
            )
            for key, entry in self._entries.items()
            if entry.component.placed
        }

    @property
    def placed_bytes(self) -> int:
        """Of everything on the device."""
        return sum(entry.component.bytes for entry in self if entry.component.placed)
