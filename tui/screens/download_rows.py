"""Downloads as lines of the models screen: how far each is, how fast, and how long it takes still."""

from typing import Final

from tui.library.durations import duration
from tui.library.plain_text import plain
from tui.protocol.download import DownloadState

BAR: Final = 16
"""Cells of a bar."""


def name_of(state: DownloadState) -> str:
    """What is fetched: a hub's by its repository and file, others by what their place calls them."""
    return state.source.removeprefix("hf:") if state.source.startswith("hf:") else state.title or state.source


def progress(state: DownloadState) -> str:
    """Such as "━━━━━━╸───  43 %  12.3 MB/s  2 min left"."""
    if not state.open:
        return state.phase
    if state.phase != "fetching":
        return {"waiting": "waiting for its turn", "asking": "asking the hub"}.get(state.phase, "checking its hash")
    told = []
    if state.total_bytes:
        told += [_bar(state.done_bytes / state.total_bytes), f"{100 * state.done_bytes // state.total_bytes} %"]
    else:
        told.append(f"{state.done_bytes / 1e6:,.0f} MB")
    if state.rate:
        told.append(f"{state.rate / 1e6:,.1f} MB/s")
    if state.seconds_left is not None:
        told.append(f"{duration(state.seconds_left)} left")
    return "  ".join(told)


def short_progress(state: DownloadState) -> str:
    """Such as "43 %"; what fits into a column."""
    if state.phase == "fetching" and state.total_bytes:
        return "waits" if state.waiting else f"{100 * state.done_bytes // state.total_bytes} %"
    return state.phase


def details(state: DownloadState) -> str:
    """Where from, where to, under which terms, and what went wrong."""
    lines = [
        f"{state.source} to {state.folder}",
        f"licence {state.license or 'see its page'}" if state.title else "",
        progress(state),
        plain(state.waiting),
        str(state.problem) if state.problem is not None else "",
    ]
    if not state.open:
        again = "" if state.phase == "done" else "Enter goes on with it, "
        lines.append(f"{again}x takes it from the list")
    return "\n".join(line for line in lines if line)


def _bar(part: float) -> str:
    halves = round(min(max(part, 0.0), 1.0) * BAR * 2)
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(BAR, "─")
