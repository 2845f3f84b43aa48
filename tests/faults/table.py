"""The table at the end of the run: what was tried, how often, and what was lost."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest

TALLY = "tally"
"""Under this name a row of the table goes with the report on its test, from whichever process ran it."""


class Tally:
    """Counts what one test tried and what was lost by it; a row of the table."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.tried = 0
        self.lost = 0
        self.note = ""
        self.sums: Counter[str] = Counter()
        """What else was counted; pieces of the long run add up."""
        self.most: dict[str, float] = {}
        """The greatest of what was measured; so it is over the pieces of the long run."""

    def row(self, *, failed: bool) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "what": self._what,
            "tried": self.tried,
            "lost": self.lost,
            "failed": int(failed),
            "note": self.note,
            "sums": self.sums,
            "most": self.most,
        }


def added(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for all the pieces of a test; the last piece's note is kept."""
    whole: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = whole.setdefault(row["what"], {"what": row["what"], "sums": Counter(), "most": {}, "pieces": 0})
        for name in ("tried", "lost", "failed"):
            one[name] = one.get(name, 0) + row[name]
        one["pieces"] += 1
        one["note"] = row["note"] or one.get("note", "")
        one["sums"].update(row["sums"])
        for name, value in row["most"].items():
            one["most"][name] = max(value, one["most"].get(name, value))
    return list(whole.values())


def note_of(row: dict[str, Any]) -> str:
    """The last column of a row: what else is known of it."""
    parts = [f"{count:,} {name}" for name, count in row["sums"].items()]
    parts += [f"at most {value:,.{0 if value >= 100 else 2}f} {name}" for name, value in row["most"].items()]
    parts += [row["note"]] if row["note"] else []
    parts += [f"in {row['pieces']} pieces"] if row["pieces"] > 1 else []
    parts += [f"{row['failed']} failed"] if row["failed"] else []
    return "; ".join(parts)


def kept_rows(config: pytest.Config) -> list[dict[str, Any]]:
    """What earlier pieces of the long run tried."""
    file = config.getoption("--faults-table")
    return [json.loads(line) for line in file.read_text().splitlines()] if file is not None and file.exists() else []


def told_rows(reports: Iterable[list[Any]]) -> list[dict[str, Any]]:
    """What the tests of this run tried."""
    ends = [one for one in chain.from_iterable(reports) if getattr(one, "when", "") == "teardown"]
    return [json.loads(row) for end in ends for name, row in end.user_properties if name == TALLY]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = added(kept_rows(config) or told_rows(terminalreporter.stats.values()))
    if not rows:
        return
    terminalreporter.section("faults")
    width = max(len(row["what"]) for row in rows)
    terminalreporter.write_line(f"{'what':<{width}} {'tried':>9} {'lost':>5}  note")
    for row in rows:
        terminalreporter.write_line(f"{row['what']:<{width}} {row['tried']:>9,} {row['lost']:>5}  {note_of(row)}")
