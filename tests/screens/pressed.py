"""Which keys tests have pressed: noted where the app carries out what a key is bound to."""

from typing import Any

from textual.app import App
from textual.binding import Binding

PRESSED: set[tuple[str, str]] = set()
"""Ids of what keys can do, each with the key."""


def note_keys() -> None:
    """Begin to note."""
    check, run = App._check_bindings, App.run_action
    keys: list[str] = []

    async def noted_check(self: App[Any], key: str, priority: bool = False) -> bool:
        keys.append(key)
        return await check(self, key, priority)

    async def noted_run(self: App[Any], action: Any, default_namespace: Any = None, *args: Any, **named: Any) -> bool:
        key = keys[-1] if keys else ""
        done = await run(self, action, default_namespace, *args, **named)
        if done and default_namespace is not None:
            for one in _bindings(type(default_namespace)):
                if one.action == action and one.id is not None and key in _keys(one):
                    PRESSED.add((one.id, key))
        return done

    App._check_bindings, App.run_action = noted_check, noted_run  # type: ignore[method-assign]


def _bindings(kind: type[Any]) -> list[Binding]:
    found = [one for base in kind.__mro__ for one in base.__dict__.get("BINDINGS", ())]
    return [one for one in found if isinstance(one, Binding)]


def _keys(binding: Binding) -> list[str]:
    return [key.strip() for key in binding.key.split(",")]
