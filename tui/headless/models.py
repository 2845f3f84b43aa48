"""`latentty models`: what was found on the disk."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tui.headless.engine_control import read_library
from tui.headless.json_line import json_line
from tui.library.addons import bundled_addons
from tui.library.families import FAMILIES
from tui.library.identify import identify_folder
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models
from tui.library.places import places
from tui.library.plain_text import plain
from tui.library.scanning import candidates, look_at
from tui.library.settings import load_settings
from tui.protocol.library import BUNDLED_PLACE, ModelFile
from tui.protocol.problem import LatenttyError

OTHER_COLUMNS: Final = 66
"""Cells that the columns beside the path take at most on a narrow terminal."""


def list_models(paths: Paths, *, as_json: bool, kinds: list[str] | None = None, text: str = "") -> int:
    """Print every model of any kind: those that come with the program, then what the settings lead to."""
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
    """Every model of any kind on this box, what comes with the program first.

    It is what the engine that runs has found; where none does, the folders are looked through now.
    """
    settings = load_settings(paths)
    where = places(settings.models(), others=settings.other_programs)
    found = None
    if settings.watch_models:
        with suppress(LatenttyError, OSError, TimeoutError):  # none runs, or it is busy ending
            found = asyncio.run(read_library(paths, [str(place.path) for place in where]))
    if found is None:
        found = [file for candidate in candidates(where) for file in look_at(candidate)]
    own = [file for file in found if not file.bundled]
    return [*_bundled(), *sorted(own, key=lambda file: (file.kind, file.name.lower()))]


def _bundled() -> list[ModelFile]:
    """What comes with the program: the model, its ControlNets, its LoRAs and its embeddings."""
    folders = [path.parent for path in sorted(bundled_models().glob("*/config.json"))]
    wholes = (identify_folder(folder, BUNDLED_PLACE) for folder in (bundled_models() / BUNDLED, *folders))
    return [*(file for file in wholes if file is not None), *bundled_addons()]


def _fits(file: ModelFile, kinds: list[str], text: str) -> bool:
    told = (file.name, file.family, file.title, file.base, file.path, *file.trigger_words)
    return (not kinds or file.kind in kinds) and (not text or any(text in one.lower() for one in told))


def _print_table(files: list[ModelFile]) -> None:
    """One line a file; below them why some cannot be used."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, most in (("Kind", 12), ("Name", 26), ("Family", 10), ("Type", 6)):
        table.add_column(column, overflow="ellipsis", no_wrap=True, max_width=most)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("Folder", no_wrap=True)
    room = max(console.width - OTHER_COLUMNS, 10)
    for file in files:
        size = f"{file.bytes / 1e6:,.0f}" if file.problem is None else "no use"
        folder = _end_of(str(Path(file.path).parent), room)
        cells = (file.kind, file.name, _short_family(file), file.precision, size, folder)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    console.print(table)
    for file in files:
        if file.problem is not None:
            console.print(Text(f"\n{plain(file.path)}\n  {plain(str(file.problem))}"), soft_wrap=False)


def _end_of(path: str, room: int) -> str:
    """`path` with `~` for the home folder; of a longer one the end, which tells more than the beginning."""
    home = str(Path.home())
    short = "~" + path.removeprefix(home) if path.startswith(home) else path
    return short if len(short) <= room else "…" + short[1 - room :]


def _short_family(file: ModelFile) -> str:
    return _family(file).replace("Stable Diffusion", "SD")


def _family(file: ModelFile) -> str:
    family = FAMILIES.get(file.family)
    return family.label if family is not None else file.base
