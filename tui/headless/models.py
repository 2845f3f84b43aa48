"""`latentty models`: what was found on the disk."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tui.headless.engine_control import read_library
from tui.headless.json_line import json_line
from tui.library.addons import bundled_addons
from tui.library.families import FAMILIES
from tui.library.identify import identify_folder
from tui.library.lending import Lending
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models, short_path
from tui.library.places import out_of_reach, places
from tui.library.plain_text import plain, shortened
from tui.library.scanning import candidates, look_at
from tui.library.settings import load_settings
from tui.library.single_files import open_model
from tui.protocol.library import BUNDLED_PLACE, ModelFile
from tui.protocol.problem import LatenttyError

WIDTHS: Final = (12, 26, 10, 6)
"""Cells of kind, name, family and type."""

OTHER_COLUMNS: Final = 66
"""Cells that the columns beside the path take at most on a narrow terminal."""

SHOWN: Final = 10
"""Files that are listed below one reason; all of them where the output is no terminal."""


def list_models(paths: Paths, *, as_json: bool, kinds: list[str] | None = None, text: str = "") -> int:
    """Print every model of any kind: those that come with the program, then what the settings lead to."""
    files = [file for file in find_files(paths) if _fits(file, kinds or [], text.lower())]
    for one in out_of_reach(load_settings(paths).models()):
        print(plain(f"latentty: the model folder {one}"), file=sys.stderr)
    if as_json:
        print(json_line(files))
        return 0
    if sys.stdout.isatty():
        _print_table(files)
    else:
        for file in files:
            why = str(file.problem) if file.problem is not None else ""
            cells = (file.kind, file.name, _family(file), file.precision, str(file.bytes), file.path, why)
            print("\t".join(plain(cell) for cell in cells))
    return 0


def find_files(paths: Paths, tell: Callable[[int], object] = lambda _: None) -> list[ModelFile]:
    """Every model of any kind on this box, what comes with the program first.

    It is what the engine that runs has found; where none does, the folders are looked through now, and `tell` is
    called with the number of files so far.
    """
    settings = load_settings(paths)
    where = places(settings.models(), others=settings.other_programs)
    found = None
    if settings.watch_models:
        with suppress(LatenttyError, OSError, TimeoutError):  # none runs, or it is busy ending
            found = asyncio.run(read_library(paths, [str(place.path) for place in where]))
    if found is None:
        found = []
        for candidate in candidates(where):
            found += look_at(candidate)
            tell(len(found))
    lenders = Lending([*settings.models(), *(place.path for place in where)])
    found = [_as_it_can_be_drawn_with(file, lenders) for file in found]
    own = [file for file in found if not file.bundled]
    return [*_bundled(), *sorted(own, key=lambda file: (file.kind, file.name.lower()))]


def _bundled() -> list[ModelFile]:
    """What comes with the program: the model, its ControlNets, its LoRAs and its embeddings."""
    folders = [path.parent for path in sorted(bundled_models().glob("*/config.json"))]
    wholes = (identify_folder(folder, BUNDLED_PLACE) for folder in (bundled_models() / BUNDLED, *folders))
    return [*(file for file in wholes if file is not None), *bundled_addons()]


def _as_it_can_be_drawn_with(file: ModelFile, lenders: Lending) -> ModelFile:
    """`file`; a checkpoint that lacks what nothing here lends says so."""
    if file.kind != "checkpoint" or file.form == "folder" or file.problem is not None:
        return file
    try:
        open_model(Path(file.path), lenders)
    except LatenttyError as error:
        return replace(file, problem=error.problem)
    return file


def _fits(file: ModelFile, kinds: list[str], text: str) -> bool:
    told = (file.name, file.family, file.title, file.base, file.path, *file.trigger_words)
    return (not kinds or file.kind in kinds) and (not text or any(text in one.lower() for one in told))


def _print_table(files: list[ModelFile]) -> None:
    """One line a file; below them why some cannot be used."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Kind", "Name", "Family", "Type"):
        table.add_column(column, no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("Folder", no_wrap=True)
    room = max(console.width - OTHER_COLUMNS, 10)
    for file in files:
        size = f"{file.bytes / 1e6:,.0f}" if file.problem is None else "no use"
        folder = _end_of(str(Path(file.path).parent), room)
        cells = (file.kind, file.name, _short_family(file), file.precision)
        cut = [shortened(plain(cell), most) for cell, most in zip(cells, WIDTHS, strict=True)]
        table.add_row(*map(Text, cut), Text(size), Text(plain(folder)))
    console.print(table)
    for why, paths in _reasons(files).items():
        console.print(Text(f"\n{why}"), soft_wrap=False)
        for path in paths[:SHOWN]:
            console.print(Text(f"  {path}"), soft_wrap=True)
        if len(paths) > SHOWN:
            console.print(Text(f"  and {len(paths) - SHOWN:,} more"))


def _reasons(files: list[ModelFile]) -> dict[str, list[str]]:
    """Why files cannot be used, and the paths of those that cannot for that reason."""
    reasons: dict[str, list[str]] = {}
    for file in files:
        if file.problem is not None:
            path = plain(file.path)
            why = plain(str(file.problem)).replace(f"The model {path}", "This model")
            why = why.replace(path, "This").replace(plain(Path(file.path).name), "This")
            reasons.setdefault(why, []).append(path)
    return reasons


def _end_of(path: str, room: int) -> str:
    """`path` with `~` for the home folder; of a longer one the end, which tells more than the beginning."""
    short = short_path(path)
    return short if len(short) <= room else "…" + short[1 - room :]


def _short_family(file: ModelFile) -> str:
    return _family(file).replace("Stable Diffusion", "SD")


def _family(file: ModelFile) -> str:
    family = FAMILIES.get(file.family)
    return family.label if family is not None else file.base
