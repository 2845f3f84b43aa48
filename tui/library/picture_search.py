"""The gallery's search line: words, and filters such as `model:sdxl tag:best after:2026-11-01 seed:42 fav`."""

import re
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct

from tui.protocol.problem import LatenttyError, bad_request

COLUMNS: Final = {"prompt": "prompt", "negative": "negative", "model": "model", "mode": "mode", "tag": "tags"}
"""The filters that look for words in one place only."""

HELP: Final = "words · -word · model: tag: mode: seed: size:512x512 on: after: before:2026-11-01 · fav"

_PART = re.compile(r'(-?)(?:(\w+):)?(?:"([^"]*)"?|(\S+))')
_MAX_NUMBER: Final = 2**63 - 1


class Search(Struct, frozen=True):
    """A search line, understood."""

    match: str = ""
    """For FTS5's MATCH; empty where no words are looked for."""
    without: str = ""
    """The same for what must not be found."""
    favourite: bool = False
    seed: int | None = None
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    after: float | None = None
    """Seconds since the epoch, included."""
    before: float | None = None
    """The same, not included."""


def read_search(text: str) -> Search:
    """Understand a search line. Words are found by their beginnings, all of them must be there, `-word` must not.

    Raises:
        LatenttyError: a filter's value cannot be read.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    filters: dict[str, object] = {}
    for part in _PART.finditer(text):
        minus, name, quoted, word = part.groups()
        value = quoted if quoted is not None else word
        if name in COLUMNS:
            (unwanted if minus else wanted).extend(_phrase(value, COLUMNS[name], whole=quoted is not None))
        elif name in ("seed", "size", "on", "after", "before"):
            filters |= _filter(name, value)
        elif value == "fav" and quoted is None and not name and not minus:
            filters["favourite"] = True
        else:
            value = f"{name} {value}" if name else value
            (unwanted if minus else wanted).extend(_phrase(value, "", whole=quoted is not None))
    return Search(match=" AND ".join(wanted), without=" OR ".join(unwanted), **filters)  # type: ignore[arg-type]


def _phrase(value: str, column: str, *, whole: bool) -> list[str]:
    """`value` as FTS5 reads it: quoted, so that nothing in it is an operator; none where it holds no word."""
    words = " ".join(re.findall(r"\w+", value.replace("\x00", " ").replace("_", " ")))
    if not words:
        return []
    place = f"{column} : " if column else ""
    return [f'{place}"{words}"{"" if whole else "*"}']


def _filter(name: str, value: str) -> dict[str, object]:
    if name == "seed":
        if not re.fullmatch(r"[0-9]{1,19}", value) or int(value) > _MAX_NUMBER:
            raise bad_request(f"{value!r} is no seed.", "Write it as in seed:42.")
        return {"seed": int(value)}
    if name == "size":
        size = re.fullmatch(r"([0-9]{1,6})[x×]([0-9]{1,6})", value)
        if size is None:
            raise bad_request(f"{value!r} is no size.", "Write it as in size:512x512.")
        return {"size": (int(size[1]), int(size[2]))}
    try:
        day = date.fromisoformat(value)
        following = day + timedelta(days=1)
        start, end = (datetime.combine(one, datetime.min.time()).timestamp() for one in (day, following))
    except (ValueError, OverflowError, OSError):
        raise _no_day(value) from None
    if name == "on":
        return {"after": start, "before": end}
    return {name: start}


def _no_day(value: str) -> LatenttyError:
    return bad_request(f"{value!r} is no day.", "Write it as in after:2026-11-01.")
