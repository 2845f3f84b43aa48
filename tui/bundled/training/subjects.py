"""Which emoji become subjects, and what people call them, by the tables in `subjects.toml`."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tui.bundled.training.catalogue import Look, Subject
from tui.bundled.training.sources import Emoji, IconSet, Sources

TABLES: Final = Path(__file__).with_name("subjects.toml")


class SubjectTables(Struct, frozen=True, forbid_unknown_fields=True):
    """What `subjects.toml` holds; it says what each table is for."""

    skipped: list[str]
    people: frozenset[str]
    symbols: frozenset[str]
    popular: frozenset[str]
    uncounted: frozenset[str]
    icons: dict[str, str]
    names: dict[str, list[str]]


@cache
def tables() -> SubjectTables:
    """The tables, read once."""
    return msgspec.toml.decode(TABLES.read_bytes(), type=SubjectTables)


def choose_subjects(sources: Sources) -> list[Subject]:
    """Every emoji of `sources` that is to be a subject and that some set draws, in Unicode's order."""
    chosen: list[Subject] = []
    taken: set[str] = set()
    skipped = re.compile("|".join(tables().skipped))
    for emoji in sources.emoji:
        name = emoji.name.lower()
        if not _is_wanted(emoji, name, skipped):
            continue
        icons = _icons(name, sources.icons)
        names = [one for one in _names(name) if one not in taken]
        if not icons or not names:
            continue
        taken.update(names)
        popular = not tables().popular.isdisjoint(names)
        chosen.append(Subject(len(chosen), name, emoji.group, names, icons, popular))
    return chosen


def _is_wanted(emoji: Emoji, name: str, skipped: re.Pattern[str]) -> bool:
    match emoji.group:
        case "Flags":
            return False
        case "People & Body":
            return name in tables().people
        case "Symbols":
            return name in tables().symbols
    return name in tables().names or not skipped.search(name)


def _names(name: str) -> list[str]:
    return tables().names.get(name) or [name.replace("’", "'").replace("-", " ").strip()]


def _icons(name: str, sets: dict[Look, IconSet]) -> dict[Look, str]:
    slug = re.sub(r"[^a-z0-9]+", "-", name.replace("’", "").replace("'", "")).strip("-")
    found = {look: icons.find(slug) or icons.find(tables().icons.get(slug, slug)) for look, icons in sets.items()}
    return {look: icon for look, icon in found.items() if icon is not None}
