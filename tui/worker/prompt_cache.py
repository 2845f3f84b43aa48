"""Encoded prompts: the same prompt twice does not need its text encoders."""

from collections import OrderedDict
from typing import Any, Final

import torch

MAX_BYTES: Final = 256 << 20
"""Of all the tensors that are kept."""

Key = tuple[object, ...]
_PLAIN = (str, int, float, bool, type(None), torch.device, torch.dtype)


class PromptCache:
    """The outputs of `encode_prompt`, the latest last, by everything that decides them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Any] = OrderedDict()
        self._bytes = 0
        self.hits = 0

    def key(self, what: Key, arguments: tuple[Any, ...], named: dict[str, Any]) -> Key | None:
        """A key for these arguments; None when one of them, such as a picture, cannot be compared."""
        frozen = [_frozen(one) for one in (*arguments, *sorted(named.items()))]
        return None if any(one is _UNKNOWN for one in frozen) else (*what, *frozen)

    def get(self, key: Key | None) -> Any:
        """A copy of what was kept under `key`, or None."""
        if key is None or key not in self._kept:
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        return _copied(self._kept[key])

    def put(self, key: Key | None, encoded: Any) -> Any:
        """Keep `encoded` under `key`; returns it."""
        size = _bytes(encoded)
        if key is not None and size <= MAX_BYTES:
            self._kept[key] = _copied(encoded)
            self._bytes += size
            while self._bytes > MAX_BYTES:
                self._bytes -= _bytes(self._kept.popitem(last=False)[1])
        return encoded

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0


_UNKNOWN = object()


def _frozen(value: Any) -> object:
    if isinstance(value, _PLAIN):
        return type(value).__name__, value
    if isinstance(value, list | tuple):
        inside = [_frozen(one) for one in value]
        return _UNKNOWN if any(one is _UNKNOWN for one in inside) else tuple(inside)
    return _UNKNOWN


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        return type(value)(_copied(one) for one in value)
    return value


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    return sum(_bytes(one) for one in value) if isinstance(value, list | tuple) else 0
