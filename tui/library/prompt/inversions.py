"""Where a prompt names textual inversions: by their name as a word, as `<name>`, or as `embedding:name`."""

import re
from collections.abc import Iterable, Iterator


def split(text: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`text` cut at each of `names`: pairs of (text, "") and ("", name), in order, no text empty."""
    known = {name.lower(): name for name in names}
    if not known:
        if text:
            yield text, ""
        return
    longest_first = sorted(known, key=len, reverse=True)
    either = "|".join(re.escape(name) for name in longest_first)
    pattern = re.compile(rf"<(?P<tagged>{either})>|(?:embedding:)?(?<!\w)(?P<plain>{either})(?!\w)", re.IGNORECASE)
    place = 0
    for match in pattern.finditer(text):
        if match.start() > place:
            yield text[place : match.start()], ""
        yield "", known[(match["tagged"] or match["plain"]).lower()]
        place = match.end()
    if place < len(text):
        yield text[place:], ""


def named(text: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that `text` names, each once."""
    return list(dict.fromkeys(name for _, name in split(text, names) if name))
