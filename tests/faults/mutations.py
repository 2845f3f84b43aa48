"""Damaged and hostile variants of a file's bytes, and of a text that is JSON."""

import json
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

HUGE = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """`seed` with one or a few of the damages that files meet."""
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        chance.choice(DAMAGES)(data, chance)
    return bytes(data)


def _at(data: bytearray, chance: random.Random) -> int:
    """A place; half of the time near the beginning, where headers are."""
    if not data:
        return 0
    return chance.randrange(min(len(data), 64) if chance.random() < 0.5 else len(data))


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_at(data, chance)] ^= 1 << chance.randrange(8)


def _put(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_at(data, chance)] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_at(data, chance) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    at = _at(data, chance)
    del data[at : at + chance.randint(1, 64)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = _at(data, chance)
    piece = data[at : at + chance.randint(1, 64)]
    data[at:at] = piece * chance.choice((1, 2, 50))


def _insert(data: bytearray, chance: random.Random) -> None:
    at = _at(data, chance)
    data[at:at] = chance.choice((chance.randbytes(chance.randint(1, 32)), b"[" * 2000, b'{"a":' * 2000, b"\0" * 100))


def _number(data: bytearray, chance: random.Random) -> None:
    at = _at(data, chance)
    form = chance.choice(("<I", ">I", "<Q", ">Q"))
    data[at : at + struct.calcsize(form)] = struct.pack(form, chance.choice(HUGE) % 2 ** (8 * struct.calcsize(form)))


def _digits(data: bytearray, chance: random.Random) -> None:
    """Another number where text has one."""
    places = [at for at, letter in enumerate(data[:4096]) if 48 <= letter <= 57]
    if places:
        at = chance.choice(places)
        data[at : at + 1] = str(chance.choice((*HUGE, -1, "1e999", "NaN", "null", '"x"', "[]"))).encode()


DAMAGES = (_flip, _flip, _put, _cut, _remove, _repeat, _insert, _number, _digits)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kinds and bodies of a sound PNG's chunks."""
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with the checksum it should have."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def mutated_png(seed: bytes, chance: random.Random) -> bytes:
    """A PNG whose damage lies behind checksums that are right."""
    parts = list(chunks(seed))
    at = chance.randrange(len(parts))
    kind, body = parts[at]
    parts[at] = kind, mutated(body, chance)
    if chance.random() < 0.2:
        chance.shuffle(parts)
    if chance.random() < 0.2:
        parts.insert(chance.randrange(len(parts)), (chance.choice((b"tEXt", b"zTXt", b"iTXt", b"eXIf")), body))
    return seed[:8] + b"".join(chunk(kind, body) for kind, body in parts)


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 5, 0.5, 2**70, 1e308, float("nan"), float("inf"), "", "x", "5", "1e999", "x" * 300,
    "\x1b[2J", "\ud800", [], [[]], [1, 2], ["x", 0], [None], {}, {"a": 1}, {"a": {"b": []}},
)  # fmt: skip
"""What may stand where something else is expected."""


def mutated_text(seed: str, chance: random.Random) -> str:
    """`seed` with a few letters changed or, when it is JSON, with something odd in one of its places, or nothing."""
    try:
        value = json.loads(seed)
    except ValueError:
        at = chance.randrange(len(seed) + 1)
        more = chance.choice(("", ":", ",", "\n", "{", '"', "1e999", "-1", "\u0663", "\u00b2", "Steps: ", "<lora:"))
        return seed[:at] + more + seed[at + chance.choice((0, 1, 5, 40)) :]
    places = list(_places(value))
    if not places:
        return json.dumps(chance.choice(ODD))
    where, key = chance.choice(places)
    if isinstance(where[key], str) and chance.random() < 0.5:
        where[key] = mutated_text(where[key], chance)
    elif chance.random() < 0.1:
        del where[key]
    else:
        where[key] = chance.choice(ODD)
    return json.dumps(value)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or table in `value`, with each of its keys."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])
