"""Measuring the rows one after another and telling the results, as a table or as JSON."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tui.headless.bench.processes import measured
from tui.headless.bench.rows import ROWS, Result, Row
from tui.headless.json_line import json_line
from tui.library.models import BUNDLED, read_model
from tui.library.paths import Paths, bundled_models
from tui.protocol.problem import LatenttyError, Problem, bad_request

QUIET: Final = {"HF_HUB_OFFLINE": "1", "DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error"}
CONTROLNET: Final = "emoji-tiny-control-edges"


def bench(paths: Paths, *, model: str, synthetic: str, only: Sequence[str], as_json: bool, plot: bool) -> int:
    """Measure, and print the table on stdout; progress goes to stderr.

    Raises:
        LatenttyError: a row is unknown, the model is missing or damaged, or a measure failed.
    """
    known = {row.name: row for row in ROWS}
    if unknown := [name for name in only if name not in known]:
        raise bad_request(f"There is no row called {', '.join(unknown)}.", f"There are: {', '.join(known)}.")
    rows = [known[name] for name in only] or list(ROWS)
    named = Path(model).expanduser() if model else bundled_models() / BUNDLED
    place = _made(paths, synthetic) if synthetic else named
    read_model(place)
    console = Console(stderr=True, highlight=False)
    results: list[Result] = []
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        for row in rows:
            task = progress.add_task(f"{row.name}: {row.what}", total=1)
            results += _measure(row, place, _other(paths, row, place, asked=bool(only)))
            progress.update(task, completed=1)
    if as_json:
        print(json_line({"rows": [msgspec.to_builtins(result) | {"unit": result.unit} for result in results]}))
    else:
        Console(highlight=False).print(_table(results))
        if plot:
            print("\n".join(_bars(results)))
    return 0


def _other(paths: Paths, row: Row, model: Path, *, asked: bool) -> Path | None:
    """What `row` needs beside `model`; None where there is none and the row was not asked for by name.

    Raises:
        LatenttyError: it was asked for.
    """
    if row.needs == "controlnet" and model.name == BUNDLED:
        return bundled_models() / CONTROLNET
    if row.needs == "other":
        twin = _made(paths, "twin") if model.name == BUNDLED else model.with_name(f"{model.name}-2")
        if twin.is_dir():
            return twin
    if row.needs and asked:
        lacking = "ControlNet" if row.needs == "controlnet" else "second model"
        raise bad_request(
            f"The row {row.name} needs a {lacking} for {model.name}.",
            "Leave --model out, or take --synthetic sd15, which makes two models.",
        )
    return None


def _measure(row: Row, model: Path, other: Path | None) -> Iterator[Result]:
    if row.home == "processes":
        ours, naive = measured(row.name, model)
        yield Result(name=row.name, ours=ours, naive=naive)
        return
    if row.needs and other is None:
        return
    others = [other] if other is not None else []
    name = "model_swap_disk" if row.name == "peak_rss" else row.name
    told = {way: _child(name, way, model, *others) for way in ("ours", "naive")}
    if row.name == "peak_rss":
        yield Result(name=row.name, ours=told["ours"]["peak_bytes"], naive=told["naive"]["peak_bytes"], unit="bytes")
        return
    loads = [told[way].get("loads") for way in ("ours", "naive")]
    moved = told["ours"].get("bytes_moved")
    yield Result(
        name=row.name,
        ours=told["ours"]["value"],
        naive=told["naive"]["value"],
        limit=_child(name, "limit", model)["value"] if row.limited else 0.0 if row.name == "mode_swap" else None,
        bytes_moved=int(moved) if moved is not None else None,
        loads=int(loads[0]) if loads[0] is not None else None,
        naive_loads=int(loads[1]) if loads[1] is not None else None,
    )


def _child(row: str, way: str, *models: Path) -> dict[str, float]:
    """One measure, in a fresh process."""
    command = [sys.executable, "-m", "tui.worker.bench", row, way, *(str(model) for model in models)]
    made = subprocess.run(command, env=os.environ | QUIET, capture_output=True, text=True)
    if made.returncode:
        words = made.stderr.strip().splitlines()[-1:] or [f"exit status {made.returncode}"]
        raise LatenttyError(
            Problem(code="internal", cause=f"The measure {row} ({way}) failed: {words[0]}", hint="Run it alone: --only")
        )
    told: dict[str, float] = json.loads(made.stdout.strip().splitlines()[-1])
    return told


def _made(paths: Paths, kind: str) -> Path:
    """A model made for measuring, once, and kept in the cache folder: random weights of real size, with a second one
    beside it to swap with; or a twin of the bundled model with other weights."""
    folder = paths.cache / "bench"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (kind,) if kind == "twin" else (kind, f"{kind}-2"):
        if not (folder / name).is_dir():
            print(f"making {folder / name}, which takes a while", file=sys.stderr)
            command = [sys.executable, "-m", "tui.worker.bench.synthetic", kind, str(folder / name)]
            subprocess.run(command, env=os.environ | QUIET, check=True, capture_output=True)
    return folder / kind


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("row")
    for name in ("ours", "naive", "limit", "naive ÷ ours", "notes"):
        table.add_column(name, justify="left" if name == "notes" else "right")
    for one in results:
        ratio = f"{one.naive / one.ours:.2f}×" if one.naive and one.ours else ""
        limit = _shown(one.limit, one.unit) if one.limit is not None else ""
        table.add_row(one.name, _shown(one.ours, one.unit), _shown(one.naive, one.unit), limit, ratio, _notes(one))
    return table


def _notes(one: Result) -> str:
    notes = []
    if one.bytes_moved is not None:
        notes.append(f"{one.bytes_moved / 1e6:,.0f} MB moved")
    if one.loads is not None:
        notes.append(f"{one.loads} loads, naively {one.naive_loads}")
    return ", ".join(notes)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    return f"{value * 1000:,.2f} ms" if value < 1 else f"{value:,.2f} s"


def _bars(results: Sequence[Result]) -> Iterator[str]:
    """How many times as long the naive way takes, as bars on a logarithmic scale."""
    for one in results:
        if one.naive and one.ours:
            ratio = one.naive / one.ours
            yield f"{one.name:<16} {'█' * max(round(4 * math.log2(ratio)), 0)} {ratio:.2f}×"
