"""`latentty models`: what was found on the disk."""

import asyncio
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tui.headless.engine_control import read_library
from tui.headless.json_line import json_line
from tui.library.families import FAMILIES
from tui.library.identify import identify_folder
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models
from tui.library.places import places
from tui.library.plain_text import plain
from tui.library.scanning import candidates, look_at
from tui.library.settings import Settings, load_settings
from tui.protocol.library import ModelFile
from tui.protocol.problem import LatenttyError


def list_models(paths: Paths, *, as_json: bool, kinds: list[str] | None = None, text: str = "") -> int:
    """Print every model of any kind that the settings lead to, the bundled one first."""
    files = [file for file in find_files(paths) if _fits(file, kinds or [], text.lower())]
    if as_json:
        print(json_line(files))
        return 0
    if sys.stdout.isatty():
        _print_table(files)
    else:
        for file in files:
            cells = (file.kind, file.name, _family(file), file.precision, str(file.bytes), file.path)
            print("\t".join(plain(cell) for cell in cells))
    return 0


def find_files(paths: Paths) -> list[ModelFile]:
    """Every model of any kind on this box: what the engine that runs has found, else looked at now."""
    settings = load_settings(paths)
    try:
        found = asyncio.run(read_library(paths)) if settings.watch_models else _look(settings)
    except (LatenttyError, OSError, TimeoutError):  # none runs, or it is busy ending
        found = _look(settings)
    bundled = identify_folder(bundled_models() / BUNDLED, "Latentty")
    return [*([bundled] if bundled else []), *sorted(found, key=lambda file: (file.kind, file.name.lower()))]


def _look(settings: Settings) -> list[ModelFile]:
    where = places(settings.models(), others=settings.other_programs)
    return [file for candidate in candidates(where) for file in look_at(candidate)]


def _fits(file: ModelFile, kinds: list[str], text: str) -> bool:
    told = (file.name, file.family, file.title, file.base, file.path, *file.trigger_words)
    return (not kinds or file.kind in kinds) and (not text or any(text in one.lower() for one in told))


def _print_table(files: list[ModelFile]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Kind", "Name", "Family", "Type"):
        table.add_column(column, overflow="fold")
    table.add_column("MB", justify="right")
    table.add_column("Where, or why not", overflow="fold")
    for file in files:
        where = str(file.problem) if file.problem is not None else file.path
        cells = (file.kind, file.name, _family(file), file.precision, f"{file.bytes / 1e6:,.0f}", where)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    Console().print(table)


def _family(file: ModelFile) -> str:
    family = FAMILIES.get(file.family)
    return family.label if family is not None else file.base
